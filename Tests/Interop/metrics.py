# SPDX-License-Identifier: Apache-2.0
"""Parses /metrics strictly with Prometheus's own Python library: metrics.py URL. Prints each sample as a JSON object.

If promtool is installed, it checks the page, too.
"""

import json
import shutil
import subprocess
import sys
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

text = urllib.request.urlopen(sys.argv[1], timeout=20).read().decode()
seen = {}
for family in text_string_to_metric_families(text):
    assert family.type in ("counter", "gauge", "histogram"), family
    assert family.documentation.endswith("."), family
    for sample in family.samples:
        assert set(sample.labels) - {"le"} == set(sample.labels) or family.type == "histogram", sample
        key = (sample.name, *sorted(sample.labels.items()))
        assert key not in seen, f"twice: {key}"
        seen[key] = sample.value
    if family.type == "histogram":
        for sample in family.samples:
            if sample.name.endswith("_count"):
                of = {**sample.labels}
                buckets = [
                    row for row in family.samples
                    if row.name.endswith("_bucket") and {k: v for k, v in row.labels.items() if k != "le"} == of
                ]
                counts = [row.value for row in buckets]
                bounds = [float(row.labels["le"]) for row in buckets]
                assert counts == sorted(counts) and bounds == sorted(bounds), sample
                assert bounds[-1] == float("inf") and counts[-1] == sample.value, sample
helped = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP")]
typed = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
assert helped == typed and len(set(typed)) == len(typed), "each family once, with help and type"

if promtool := shutil.which("promtool"):
    check = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
    assert check.returncode == 0 and not check.stderr, check.stderr
print("passed", len(seen), "samples", "with promtool" if promtool else "without promtool")
