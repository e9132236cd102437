"""Prints what wapiti found and ends with 1 unless every finding is explained.

A line of the explanations is `module<TAB>part of path<TAB>part of the text<TAB>why`; `*` fits all.
Findings of level 0 (informational) are counted only.
"""

import json
import sys
from pathlib import Path


def explained(lines, module, path, info):
    for m, p, i, _why in lines:
        if (m in ("*", module)) and (p == "*" or p in path) and (i == "*" or i in info):
            return True
    return False


text = Path(sys.argv[1]).read_text().splitlines()
lines = [l.split("\t") for l in text if l.strip() and not l.startswith("#")]
left = 0
for name in sys.argv[2:]:
    report = json.loads(Path(name).read_text())
    pages = report["infos"].get("crawled_pages_nbr", 0)
    known = informational = 0
    for kind in ("vulnerabilities", "anomalies", "additionals"):
        for title, found in report.get(kind, {}).items():
            for f in found:
                if f.get("level", 0) == 0:
                    informational += 1
                elif explained(lines, f.get("module", ""), f.get("path", ""), f.get("info", "")):
                    known += 1
                else:
                    left += 1
                    print(f"{Path(name).stem}: {title}: {f.get('method')} {f.get('path')} [{f.get('module')}] {f.get('info')}")
    print(f"{Path(name).stem}: {pages} pages crawled, {informational} informational, {known} explained")
    if pages < 5:
        left += 1
        print(f"{Path(name).stem}: it did not get in")
sys.exit(1 if left else 0)
