"""Tokens a second from conversations to labelled token ids, against TRL: `python -m bench.sft_preparation --rows 2000`.

Each measurement is a process of its own, in turns; what it is given lies in an Arrow file, what it makes is written
as one. TRL's own path is `SFTTrainer` with `assistant_only_loss`, whose template marks the assistant's words. Ours is
`ChatEncoder.rows`, each row proven against the template's rendering, with one and with all threads. Both end with
`input_ids` and `labels`, which are compared; ours has loss weights beside them. Loading libraries and the file is not
counted. The tokenizer is a byte-level BPE of 8,000 tokens, trained here. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from bench.synthetic import Prose
from toolkit.dialects import load_dialect

PATHS = ("trl", "one thread", "all threads")
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n"
    "{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}\n"
    "{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+"


def conversations(count: int) -> list[list[dict[str, str]]]:
    """Conversations of a student: its prompt, three searches with observations of some 900 characters, the answer."""
    random = Random(0)
    prose, dialect = Prose(random), load_dialect("codeact")
    system = dialect.student_prompt([])
    made = []
    for _ in range(count):
        messages = [{"role": "system", "content": system}, {"role": "user", "content": prose.text(1, 2)}]
        for _ in range(3):
            turn = dialect.render(prose.text(1, 3), f"print(web_search({prose.text(1, 1)!r}))")
            messages.append({"role": "assistant", "content": turn})
            messages.append({"role": "user", "content": dialect.observation_turn(prose.text(8, 14))})
        messages.append({"role": "assistant", "content": dialect.render("I know it.", "final_answer('it')")})
        made.append(messages)
    return made


def prepare(folder: Path, rows: int) -> None:
    """The conversations, the tokenizer and a model that TRL's trainer can be made with."""
    from datasets import Dataset
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    made = conversations(rows)
    Dataset.from_dict({"messages": made}).save_to_disk(folder / "conversations")
    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(WORDS), behavior="isolated")
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, letters])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8_000,
        special_tokens=["<|im_end|>", "<|im_start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((turn["content"] for messages in made[:300] for turn in messages), trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>", chat_template=TEMPLATE
    ).save_pretrained(folder / "model")
    config = Qwen2Config(vocab_size=8_300, hidden_size=16, intermediate_size=16, num_hidden_layers=1)
    config.num_attention_heads = config.num_key_value_heads = 2
    Qwen2ForCausalLM(config).save_pretrained(folder / "model")


def by_trl(folder: Path, out: Path) -> Any:
    """TRL's preparation; the time starts behind the making of a trainer."""
    from datasets import disable_caching, load_from_disk
    from trl import SFTConfig, SFTTrainer

    disable_caching()
    dataset = load_from_disk(str(folder / "conversations"))
    args = SFTConfig(
        output_dir=str(out), assistant_only_loss=True, max_length=None, report_to=[], use_cpu=True, disable_tqdm=True
    )
    trainer = SFTTrainer(str(folder / "model"), args=args, train_dataset=dataset.select(range(8)))

    def work() -> Any:
        return trainer._prepare_dataset(dataset, trainer.processing_class, args, False, None, "train")

    return work, lambda done: (done["input_ids"], done["labels"])


def by_toolkit(folder: Path, out: Path) -> Any:
    """Ours, in batches, to an Arrow file."""
    import pyarrow as pa
    from datasets import load_from_disk

    from toolkit.chat import Turn
    from toolkit.masking import SCHEMA, ChatEncoder, EncodedRow, columns, load_tokenizer
    from toolkit.masking.rows import BATCH_ROWS

    dataset = load_from_disk(str(folder / "conversations"))
    tokenizer = load_tokenizer(str(folder / "model"))

    def work() -> Path:
        encoder = ChatEncoder(tokenizer)
        with pa.OSFile(str(out / "rows.arrow"), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as stream:
            for batch in dataset.iter(batch_size=BATCH_ROWS):
                turns = [
                    [Turn(turn["role"], turn["content"], float(turn["role"] == "assistant")) for turn in messages]
                    for messages in batch["messages"]
                ]
                made = []
                for rows in encoder.rows(turns):
                    assert isinstance(rows, list)
                    made += [columns(EncodedRow("", row.input_ids, row.loss_weights, 0)) for row in rows]
                stream.write_table(pa.Table.from_pylist(made, schema=SCHEMA))
        return out / "rows.arrow"

    def read(path: Path) -> tuple[Any, Any]:
        table = pa.ipc.open_stream(path.read_bytes()).read_all()
        return table["input_ids"].to_pylist(), table["labels"].to_pylist()

    return work, read


def measure(path: str, folder: Path) -> None:
    """One measurement, printed as JSON; the rows' digest tells whether all paths agree."""
    import hashlib

    with tempfile.TemporaryDirectory() as out:
        work, read = (by_trl if path == "trl" else by_toolkit)(folder, Path(out))
        started, worked = time.perf_counter(), time.process_time()
        done = work()
        took, worked = time.perf_counter() - started, time.process_time() - worked
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        ids, labels = read(done)
    digest, tokens = hashlib.sha256(), 0
    for row, wanted in zip(ids, labels, strict=True):
        # TRL's rows go on to the newline behind the last turn, which nothing is learnt from.
        last = max(at for at, label in enumerate(wanted) if label != -100) + 1
        digest.update(json.dumps([row[:last], wanted[:last]]).encode())
        tokens += last
    print(json.dumps({"tokens": tokens, "s": took, "cpu_s": worked, "mb": peak_mb, "digest": digest.hexdigest()}))


def main() -> None:
    """Print tokens a second of every path, medians of the repeats."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", choices=PATHS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure, given.folder)
        return
    found: dict[str, list[dict[str, Any]]] = {path: [] for path in PATHS}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), given.rows)
        for _ in range(given.repeats):
            for path in PATHS:
                parallel = "true" if path == "all threads" else "false"
                command = [sys.executable, "-m", "bench.sft_preparation", "--measure", path, "--folder", folder]
                environment = {**os.environ, "TOKENIZERS_PARALLELISM": parallel, "HF_HUB_OFFLINE": "1"}
                ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
                if ran.returncode:
                    sys.exit(ran.stderr)
                found[path].append(json.loads(ran.stdout.splitlines()[-1]))
    digests = {entry["digest"] for entries in found.values() for entry in entries}
    rates = {path: statistics.median(e["tokens"] / e["s"] for e in entries) for path, entries in found.items()}
    print(f"{given.rows:,} rows, {found['trl'][0]['tokens']:,} tokens, {given.repeats} runs in turns")
    print("path          tokens/s  ratio   tokens/CPU-s   peak MB   each run's tokens/s")
    for path, entries in found.items():
        each = ", ".join(f"{entry['tokens'] / entry['s']:,.0f}" for entry in entries)
        cpu = statistics.median(entry["tokens"] / entry["cpu_s"] for entry in entries)
        peak = statistics.median(entry["mb"] for entry in entries)
        print(f"{path:12} {rates[path]:9,.0f}  {rates[path] / rates['trl']:4.2f}x {cpu:14,.0f} {peak:9,.0f}   {each}")
    print("ids and labels are equal" if len(digests) == 1 else f"ids or labels differ: {digests}")


if __name__ == "__main__":
    main()
