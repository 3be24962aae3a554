"""A Hub on the loopback that speaks what the real clients say, with faults on request.

Speaks: repos/create, repo info, tree, refs, branch, tag, validate-yaml, preupload, LFS batch with
PUT and verify, commit (ndjson), resolve with HEAD and ranges, paths-info. Revisions are real: every
commit keeps its own tree. Not covered: Xet, pull requests, multipart uploads, search.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web

TOKEN = "hf_" + "t" * 34
READ_TOKEN = "hf_" + "r" * 34


@dataclass
class Repo:
    """One repository; trees map paths to (content, large)."""

    private: bool
    commits: dict[str, dict[str, tuple[bytes, bool]]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def resolve(self, revision: str) -> str | None:
        if revision in self.commits:
            return revision
        return self.branches.get(revision) or self.tags.get(revision)

    def add_commit(self, branch: str, tree: dict[str, tuple[bytes, bool]]) -> str:
        name = hashlib.sha1(f"{branch}{len(self.commits)}{sorted(tree)}".encode()).hexdigest()
        self.commits[name] = tree
        self.branches[branch] = name
        return name


class SimulatedHub:
    """The server; `faults` holds what goes wrong next, by name, with how often."""

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.objects: dict[str, bytes] = {}
        """Large files that were uploaded whole, by sha256."""
        self.puts: list[str] = []
        """sha256 of every PUT that was begun."""
        self.requests: list[tuple[str, str]] = []
        self.commit_lines: list[list[dict[str, object]]] = []
        self.faults: dict[str, int] = {}
        self.before_commit: Callable[[], None] | None = None
        """Called once, when a commit arrives: somebody else at work."""
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> SimulatedHub:
        self._thread.start()
        assert self._started.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    def repo(self, name: str, kind: str = "dataset") -> Repo:
        return self.repos[kind, name]

    def files(self, name: str, kind: str = "dataset", revision: str = "main") -> dict[str, bytes]:
        repo = self.repo(name, kind)
        commit = repo.resolve(revision)
        assert commit is not None
        return {path: content for path, (content, _) in repo.commits[commit].items()}

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application(client_max_size=2**30, middlewares=[self._gate])
        for method, path, handler in self._routes():
            app.router.add_route(method, path, handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        address = runner.addresses[0]
        self.url = f"http://{address[0]}:{address[1]}"
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        # Requests that hang, and those of clients that were killed.
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.close()

    def _routes(self) -> list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        repo = "/api/{kind}s/{org}/{name}"
        return [
            ("POST", "/api/repos/create", self._create),
            ("POST", "/api/validate-yaml", self._validate),
            ("GET", repo, self._info),
            ("GET", repo + "/revision/{revision:.+}", self._info),
            ("GET", repo + "/tree/{revision}", self._tree),
            ("GET", repo + "/tree/{revision}/{path:.+}", self._tree),
            ("POST", repo + "/paths-info/{revision}", self._paths_info),
            ("GET", repo + "/refs", self._refs),
            ("POST", repo + "/branch/{branch}", self._branch),
            ("POST", repo + "/tag/{revision}", self._tag),
            ("POST", repo + "/preupload/{revision}", self._preupload),
            ("POST", repo + "/commit/{revision}", self._commit),
            ("POST", "/{org}/{name}.git/info/lfs/objects/batch", self._batch),
            ("POST", "/datasets/{org}/{name}.git/info/lfs/objects/batch", self._batch),
            ("PUT", "/upload/{oid}", self._put),
            ("POST", "/verify/{oid}", self._verify),
            ("*", "/datasets/{org}/{name}/resolve/{revision}/{path:.+}", self._resolve),
            ("*", "/{org}/{name}/resolve/{revision}/{path:.+}", self._resolve),
        ]

    def _strikes(self, fault: str) -> bool:
        left = self.faults.get(fault, 0)
        self.faults[fault] = max(0, left - 1)
        return left > 0

    @web.middleware
    async def _gate(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if given and given not in (TOKEN, READ_TOKEN):
            return _error(401, "Invalid credentials in Authorization header")
        # What was uploaded to is a signed address, which wants no token.
        writes = request.method == "POST" and not request.path.startswith(("/verify", "/api/validate"))
        if writes and "paths-info" not in request.path:
            if not given:
                return _error(401, "Invalid username or password.")
            if given == READ_TOKEN:
                return _error(403, "You don't have the rights to write there")
        found = self._found(request)
        if found is not None and found.private and not given and "kind" in request.match_info:
            return _error(401, "Repository not found", code="RepoNotFound")
        return await handler(request)

    def _found(self, request: web.Request) -> Repo | None:
        info = request.match_info
        if "name" not in info:
            return None
        kind = info.get("kind") or ("dataset" if request.path.startswith("/datasets/") else "model")
        return self.repos.get((kind, f"{info['org']}/{info['name']}"))

    def _at(self, request: web.Request) -> tuple[Repo, str] | web.Response:
        repo = self._found(request)
        if repo is None:
            return _error(404, "Repository not found", code="RepoNotFound")
        commit = repo.resolve(request.match_info.get("revision", "main"))
        return (repo, commit) if commit else _error(404, "Revision not found", code="RevisionNotFound")

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        name, kind = f"{asked['organization']}/{asked['name']}", asked.get("type", "model")
        if (kind, name) in self.repos:
            return _error(409, "You already created this repo", body={"url": f"{self.url}/{name}"})
        repo = self.repos[kind, name] = Repo(private=asked.get("visibility") == "private" or bool(asked.get("private")))
        repo.add_commit("main", {".gitattributes": (b"*.parquet filter=lfs\n", False)})
        prefix = "datasets/" if kind == "dataset" else ""
        return web.json_response({"url": f"{self.url}/{prefix}{name}", "name": name, "id": "1"})

    async def _validate(self, request: web.Request) -> web.Response:
        import yaml

        content = (await request.json())["content"]
        header = yaml.safe_load(content.split("---")[1])
        errors = [] if "license" in header else [{"message": '"license" is required'}]
        return web.json_response({"errors": errors, "warnings": []}, status=400 if errors else 200)

    async def _info(self, request: web.Request) -> web.Response:
        at = self._at(request)
        if isinstance(at, web.Response):
            return at
        repo, commit = at
        name = f"{request.match_info['org']}/{request.match_info['name']}"
        siblings = [{"rfilename": path} for path in repo.commits[commit]]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return web.json_response(
            {
                "id": name,
                "_id": "1",
                "sha": commit,
                "private": repo.private,
                "siblings": siblings,
                "tags": [],
                "lastModified": now,
                "createdAt": now,
                "downloads": 0,
                "likes": 0,
            }
        )

    async def _tree(self, request: web.Request) -> web.Response:
        at = self._at(request)
        if isinstance(at, web.Response):
            return at
        repo, commit = at
        below = request.match_info.get("path", "")
        recursive = request.query.get("recursive", "").lower() == "true"
        entries: dict[str, dict[str, object]] = {}
        for path, (content, large) in repo.commits[commit].items():
            if below and not path.startswith(f"{below}/"):
                continue
            rest = path[len(below) + 1 :] if below else path
            parents = rest.split("/")[:-1]
            for depth in range(1, len(parents) + 1):
                folder = "/".join([below, *parents[:depth]]).strip("/")
                if recursive or depth == 1:
                    entries[folder] = {"type": "directory", "path": folder, "oid": _blob(folder.encode()), "size": 0}
            if recursive or not parents:
                entries[path] = _entry(path, content, large)
        if below and not entries:
            return _error(404, "Entry not found", code="EntryNotFound")
        return web.json_response(list(entries.values()), headers={"X-Repo-Commit": commit})

    async def _paths_info(self, request: web.Request) -> web.Response:
        at = self._at(request)
        if isinstance(at, web.Response):
            return at
        repo, commit = at
        if request.content_type == "application/json":
            asked = (await request.json())["paths"]
        else:
            asked = (await request.post()).getall("paths", [])
        tree, found = repo.commits[commit], []
        for path in [asked] if isinstance(asked, str) else asked:
            if path in tree:
                found.append(_entry(path, *tree[path]))
            elif any(name.startswith(f"{path}/") for name in tree):
                found.append({"type": "directory", "path": path, "oid": _blob(path.encode()), "size": 0})
        return web.json_response(found)

    async def _refs(self, request: web.Request) -> web.Response:
        repo = self._found(request)
        if repo is None:
            return _error(404, "Repository not found", code="RepoNotFound")

        def refs(kind: str, names: dict[str, str]) -> list[dict[str, str]]:
            return [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": at} for name, at in names.items()]

        found = {"branches": refs("heads", repo.branches), "tags": refs("tags", repo.tags), "converts": []}
        return web.json_response(found)

    async def _branch(self, request: web.Request) -> web.Response:
        repo = self._found(request)
        assert repo is not None
        name = request.match_info["branch"]
        if name in repo.branches:
            return _error(409, "Reference already exists")
        repo.branches[name] = repo.branches["main"]
        return web.json_response({})

    async def _tag(self, request: web.Request) -> web.Response:
        at = self._at(request)
        if isinstance(at, web.Response):
            return at
        name = (await request.json())["tag"]
        if name in at[0].tags:
            return _error(409, "Tag already exists")
        at[0].tags[name] = at[1]
        return web.json_response({})

    async def _preupload(self, request: web.Request) -> web.Response:
        at = self._at(request)
        if isinstance(at, web.Response):
            return at
        asked, tree = await request.json(), at[0].commits[at[1]]
        files = []
        for file in asked["files"]:
            path = file["path"]
            large = path.endswith((".parquet", ".safetensors", ".png")) or file["size"] > 10_000_000
            entry = _entry(path, *tree[path]) if path in tree else {}
            known = entry.get("lfs", entry)
            mode = "lfs" if large else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": known.get("oid")})
        return web.json_response({"files": files, "commitOid": at[1]})

    async def _batch(self, request: web.Request) -> web.Response:
        objects = []
        for wanted in (await request.json())["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"], "authenticated": True}
            if wanted["oid"] not in self.objects:
                upload = {"href": f"{self.url}/upload/{wanted['oid']}", "header": {}}
                answer["actions"] = {"upload": upload, "verify": {"href": f"{self.url}/verify/{wanted['oid']}"}}
            objects.append(answer)
        return web.json_response({"transfer": "basic", "objects": objects})

    async def _put(self, request: web.Request) -> web.StreamResponse:
        oid = request.match_info["oid"]
        self.puts.append(oid)
        if self._strikes("drop put"):
            await request.content.readany()
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if self._strikes("hang put"):
            await asyncio.sleep(600)
        content = await request.read()
        if hashlib.sha256(content).hexdigest() != oid:
            return _error(400, "content does not match its hash")
        self.objects[oid] = content
        return web.Response()

    async def _verify(self, request: web.Request) -> web.Response:
        known = request.match_info["oid"] in self.objects
        return web.json_response({}) if known else _error(404, "no such object")

    async def _commit(self, request: web.Request) -> web.StreamResponse:
        if self.before_commit is not None:
            happens, self.before_commit = self.before_commit, None
            happens()
        if self._strikes("busy"):
            return _error(409, "A commit is being made on this repo")
        lines = [json.loads(line) for line in (await request.read()).splitlines() if line]
        if self._strikes("drop commit"):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        at = self._at(request)
        if isinstance(at, web.Response):
            return at
        repo, head = at
        self.commit_lines.append(lines)
        tree = dict(repo.commits[head])
        for line in lines:
            value = line["value"]
            if line["key"] == "header" and value.get("parentCommit") not in (None, head):
                return _error(412, "A commit has happened since. Please refresh and try again.")
            if line["key"] == "file":
                tree[value["path"]] = (base64.b64decode(value["content"]), False)
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.objects:
                    return _error(400, f"{value['path']} was never uploaded")
                tree[value["path"]] = (self.objects[value["oid"]], True)
            elif line["key"] == "deletedFile":
                tree.pop(value["path"], None)
        commit = repo.add_commit(request.match_info["revision"], tree)
        place = request.path.removeprefix("/api").partition("/commit/")[0].replace("/models/", "/")
        answer = {"success": True, "commitOid": commit, "commitUrl": f"{self.url}{place}/commit/{commit}"}
        return web.json_response({**answer, "pullRequestUrl": None, "hookOutput": ""})

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        at = self._at(request)
        if isinstance(at, web.Response):
            return at
        repo, commit = at
        if repo.private and "Authorization" not in request.headers:
            return _error(401, "Repository not found", code="RepoNotFound")
        path = request.match_info["path"]
        if path not in repo.commits[commit]:
            return _error(404, "Entry not found", code="EntryNotFound", headers={"X-Repo-Commit": commit})
        content, large = repo.commits[commit][path]
        identity = hashlib.sha256(content).hexdigest() if large else _blob(content)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{identity}"', "Accept-Ranges": "bytes"}
        if large:
            headers |= {"X-Linked-Etag": f'"{identity}"', "X-Linked-Size": str(len(content))}
        asked = request.http_range
        if asked.start is None and asked.stop is None:
            return web.Response(body=content, headers=headers)
        start = asked.start if asked.start >= 0 else len(content) + asked.start
        stop = min(asked.stop or len(content), len(content))
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return web.Response(status=206, body=content[start:stop], headers=headers)


def _entry(path: str, content: bytes, large: bool) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": _blob(content)}
    if large:
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
    return entry


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    headers: dict[str, str] | None = None,
    body: dict[str, str] | None = None,
) -> web.Response:
    sent = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **(headers or {})}
    return web.json_response({"error": message, **(body or {})}, status=status, headers=sent)
