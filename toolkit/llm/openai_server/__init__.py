"""Any server that speaks OpenAI's chat completions: vLLM, SGLang, llama.cpp, hosted APIs.

`endpoints` says where a model is served, `pool` chooses among several, `calls` makes one call
and names what went wrong, `payload` writes requests and reads answers in the ways of a server,
`probe` finds those ways out, `server` is the model.
"""

from toolkit.llm.openai_server.endpoints import Endpoint as Endpoint
from toolkit.llm.openai_server.endpoints import parse_endpoint as parse_endpoint
from toolkit.llm.openai_server.server import OpenAIServer as OpenAIServer
