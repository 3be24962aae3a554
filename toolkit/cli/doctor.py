"""`toolkit doctor`: is this installation whole, and is that lake?"""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from toolkit.cli.options import AsJson
from toolkit.cli.output import note, print_json, print_table, progress
from toolkit.errors import how_to_install
from toolkit.lake.check import Finding, check
from toolkit.lake.lake import open_lake

DISTRIBUTION = "trajectory-toolkit"


def doctor_command(
    *,
    lake: Annotated[Path | None, Parameter(help="Also check every file of this lake.")] = None,
    json: AsJson = False,
) -> int:
    """Check this installation and, if given, a lake. Exit code 1 if something is damaged.

    Args:
        lake: Also check every file of this lake against its log.
        json: Print one JSON document.
    """
    report: dict[str, Any] = {"machine": _machine(), "sandbox": _sandbox(), "extras": _extras()}
    findings: list[Finding] = []
    if lake is not None:
        findings = _check(lake)
        report["lake"] = [
            {"severity": found.severity, "path": str(found.path), "message": found.message} for found in findings
        ]
    if json:
        print_json(report)
    else:
        _print(report, lake)
    return 1 if any(found.severity == "damage" for found in findings) else 0


def _check(lake: Path) -> list[Finding]:
    with progress("check", None, unit="segments") as advance:
        return check(open_lake(lake), progress=lambda done, total: advance(done, f"of {total:,}"))


def _machine() -> dict[str, object]:
    free = shutil.disk_usage(Path.cwd()).free
    return {
        "toolkit": version(DISTRIBUTION),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "free_disk_gb": round(free / 1e9, 1),
    }


def _sandbox() -> dict[str, Any]:
    """The level that model-written code is confined at, and what is missing for the next one."""
    from toolkit.sandbox.level import MEANING, probe

    found = probe()
    return {"level": found.level, "meaning": MEANING[found.level], "missing": found.missing}


def _extras() -> list[dict[str, object]]:
    """Each extra with the packages that are missing for it."""
    names = metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    found = [{"extra": "(core)", "missing": _missing(None)}]
    found += [{"extra": name, "missing": _missing(name)} for name in names]
    return [
        {
            "extra": row["extra"],
            "installed": not row["missing"],
            "missing": ", ".join(row["missing"]),
            "install": how_to_install(str(row["extra"])) if row["missing"] else "",
        }
        for row in found
    ]


def _missing(extra: str | None) -> list[str]:
    from packaging.requirements import Requirement

    missing = []
    for line in requires(DISTRIBUTION) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        wanted = marker is None if extra is None else marker is not None and marker.evaluate({"extra": extra})
        if wanted and not _installed(requirement.name):
            missing.append(requirement.name)
    return missing


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _print(report: dict[str, Any], lake: Path | None) -> None:
    print_table(["machine", ""], [[name, str(value)] for name, value in report["machine"].items()])
    sandbox = report["sandbox"]
    rows = [[f"level {sandbox['level']}", sandbox["meaning"]]]
    rows += [[f"for level {level}", problem] for level, problem in sorted(sandbox["missing"].items())]
    print_table(["sandbox", ""], rows)
    columns = ["extra", "installed", "missing", "install"]
    print_table(columns, [[row[column] for column in columns] for row in report["extras"]])
    if lake is None:
        return
    for found in report["lake"]:
        note(f"{found['severity']}: {found['path']} {found['message']}")
    if not report["lake"]:
        note(f"the lake {lake} is whole: every file is as it was committed")
