"""Known vulnerabilities of the locked packages: python tools/audit.py REPORT, where REPORT is what pip-audit wrote as JSON.

Prints how many packages the advisory database answered for, and each vulnerability that is not accepted below. Exits with 1 where
there is one, and with 0 where there is none or nobody answered: then it says so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

# Advisories that do not reach this package: identifier -> why.
ACCEPTED: dict[str, str] = {}


def main(arguments: list[str]) -> int:
    path = Path(arguments[0])
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        packages = report["dependencies"]
    except (OSError, ValueError, KeyError, TypeError):
        print("audit: no answer; the advisory database was not reached, so nothing is known of any package")
        return 0
    answered = [one for one in packages if "skip_reason" not in one]
    found = [(one, each) for one in answered for each in one["vulns"] if not accepted(each)]
    for one, each in found:
        print(f"audit: {one['name']} {one['version']}: {each['id']}, mended in {', '.join(each['fix_versions']) or 'no version'}")
    print(f"audit: {len(found)} known vulnerabilities; answers for {len(answered)} of {len(packages)} packages")
    return 1 if found else 0


def accepted(vulnerability: dict[str, Any]) -> bool:
    return bool({vulnerability["id"], *vulnerability.get("aliases", ())} & set(ACCEPTED))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
