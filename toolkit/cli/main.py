"""The command `toolkit`: a table of names, and what happens to errors.

Invariant: `--help` imports nothing but the standard library, and a command imports only its
own module. Exit codes: 0 done, 1 a run that failed, 2 wrong input.
"""

from __future__ import annotations

import errno
import gc
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from toolkit.errors import InputError, ToolkitError

if TYPE_CHECKING:
    from cyclopts import App

GARBAGE_OBJECTS = 50_000
"""New objects between two collections."""
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""What writing says without naming the file."""


class Command(NamedTuple):
    """One command of the table."""

    group: str
    target: str
    """`module:function`; the function's signature and docstring are the command's options and help."""
    line: str
    """One line for `toolkit --help`."""


COMMANDS: dict[str, Command] = {
    "demo": Command("Main road", "pipelines.demo:demo_command", "run the main road on a small sample made on the spot"),
    "import": Command("Main road", "pipelines.ingest:import_command", "read other people's trajectories into a lake"),
    "index": Command("Main road", "pipelines.index:index_command", "make passages searchable"),
    "generate": Command(
        "Main road", "pipelines.generate_command:generate_command", "make teacher trajectories for questions"
    ),
    "score": Command("Main road", "pipelines.score:score_command", "grade the final answers in a lake"),
    "judge": Command(
        "Main road", "pipelines.judge.command:judge_command", "let a model judge answers, steps, rollouts"
    ),
    "replay": Command(
        "Main road", "pipelines.replay:replay_command", "run recorded actions again and compare what is observed"
    ),
    "filter": Command("Main road", "pipelines.filter:filter_command", "decide on every trajectory by a recipe"),
    "export": Command("Main road", "pipelines.export:export_command", "write a selection as training data"),
    "review": Command(
        "Main road", "pipelines.review.commands:review_app", "let people review trajectories in Label Studio"
    ),
    "publish": Command(
        "Main road", "pipelines.publish.command:publish_command", "put a selection or a model on the Hub"
    ),
    "pull": Command("Main road", "pipelines.publish.pull:pull_command", "restore a lake from the Hub"),
    "run": Command("Main road", "pipelines.run:run_command", "run the stages of a recipe, one command after another"),
    "train": Command("Students", "trainers.sft.command:train_command", "train a student on a selection"),
    "evaluate": Command("Students", "pipelines.evaluate:evaluate_command", "test a student on questions, and grade"),
    "compare": Command("Students", "pipelines.compare:compare_command", "compare evaluations: accuracy, tests, costs"),
    "ask": Command("Look", "pipelines.ask:ask_command", "put one question to one model and watch"),
    "query": Command("Look", "toolkit.cli.query:query_command", "run one SELECT over the tables of a lake"),
    "show": Command("Look", "toolkit.cli.show:show_command", "print one trajectory for reading"),
    "why": Command("Look", "toolkit.cli.why:why_command", "say why a trajectory is in a selection or not"),
    "stats": Command("Look", "toolkit.cli.stats:stats_command", "count what is in a lake or a selection"),
    "agreement": Command(
        "Look", "pipelines.agreement:agreement_command", "compare what judges, graders and people say"
    ),
    "report": Command("Look", "pipelines.report.command:report_command", "write one page to look at in a browser"),
    "diff": Command("Look", "toolkit.cli.diff:diff_command", "compare two selections, published ones too"),
    "overlap": Command("Look", "pipelines.overlap:overlap_command", "find questions that stand in a benchmark, too"),
    "grade": Command("Look", "pipelines.score:grade_command", "grade predictions from standard input"),
    "compact": Command("Keep", "toolkit.cli.keep:compact_command", "merge small segments into large ones"),
    "vacuum": Command("Keep", "toolkit.cli.keep:vacuum_command", "remove files that no commit needs"),
    "doctor": Command("Keep", "toolkit.cli.doctor:doctor_command", "check this installation and, if given, a lake"),
}


def main() -> None:
    """Entry point of the console script."""
    # A collection looks at everything imported, and starting up makes little garbage: with Python's threshold of 700
    # a tenth of the time of the imports goes there.
    gc.set_threshold(GARBAGE_OBJECTS)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        return _dispatch(list(arguments))
    except ToolkitError as error:
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _say("interrupted; what was committed stays, and the same command goes on from there", 1)
    except BrokenPipeError:
        # The reader of our output (head, less) has seen enough.
        sys.stderr.close()
        return 0
    except OSError as error:
        # Only of files: what a network or a process says is the business of whoever talks to it.
        if error.filename is None and error.errno not in _DISK_FULL:
            raise
        return _say(_refused_by_disk(error), 1)


def _refused_by_disk(error: OSError) -> str:
    """What the file system says, and about which file, as far as it tells."""
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename}: {reason}"


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        sys.stdout.write(overview())
        return 0
    if arguments[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"trajectory-toolkit {version('trajectory-toolkit')}\n")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        close = get_close_matches(name, COMMANDS, n=1)
        raise InputError(f"there is no command {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    return _run_command(name, rest)


def overview() -> str:
    """What `toolkit --help` prints."""
    lines = ["Turn the runs of a strong LLM agent into a small model that can do the same work.", ""]
    lines += ["Usage: toolkit COMMAND [OPTIONS]", ""]
    for group in dict.fromkeys(command.group for command in COMMANDS.values()):
        lines.append(group)
        lines += [f"  {name:9} {entry.line}" for name, entry in COMMANDS.items() if entry.group == group]
        lines.append("")
    lines.append("`toolkit COMMAND --help` explains one; `toolkit demo` shows the road from file to training data.")
    return "\n".join(lines) + "\n"


def command_app(name: str) -> App:
    """The parser of one command of the table: `app([name, …])` runs it, `app[name]` knows its options."""
    from cyclopts import App

    from toolkit.cli.output import PipedConsole

    app = App(
        name="toolkit",
        help_format="plaintext",
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        console=PipedConsole(),
    )
    app.command(COMMANDS[name].target, name=name)
    return app


def _run_command(name: str, arguments: list[str]) -> int:
    from cyclopts import CycloptsError

    try:
        result = command_app(name)([name, *arguments])
    except CycloptsError as error:
        raise InputError(f"{str(error).strip()}\n`toolkit {name} --help` lists the options") from error
    return result if isinstance(result, int) else 0


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"error: {message}\n")
    return code


if __name__ == "__main__":
    main()
