# SPDX-License-Identifier: Apache-2.0
"""Checks alerts and dashboard against a server's metrics: names.py METRICS RULES, from the root of the package.

METRICS is a page of /metrics. It must have every metric that an alert, a panel or docs/reference/metrics.md names, and
docs/guides/operate.md must have every alert. The panels' expressions are written to RULES, for promtool to check.
"""

import json
import re
import sys

from prometheus_client.parser import text_string_to_metric_families

OURS = re.compile(r"\b(?:config_lookup|agent_config|prompt|source_config|process)_[a-z_]+[a-z]\b")
CACHES = ("agent_config", "prompt", "source_config")
LABELS = {"agent_config", "source_config"}

page = open(sys.argv[1]).read()
served = set()
for family in text_string_to_metric_families(page):
    name = family.name + ("_total" if family.type == "counter" else "")
    served |= {name} if family.type != "histogram" else {f"{name}_{part}" for part in ("bucket", "count", "sum")}


def asked(expression: str) -> set[str]:
    """Returns the metric names in a PromQL expression, without the values of its labels."""
    names = set()
    for pattern in re.findall(r'__name__=~"\((.*?)\)(\w+)"', expression):
        names |= {cache + pattern[1] for cache in pattern[0].split("|")}
    return names | set(OURS.findall(re.sub(r'"[^"]*"', "", expression)))


def expressions(panel: dict):
    for target in panel.get("targets", []):
        yield target["expr"]
    for inner in panel.get("panels", []):
        yield from expressions(inner)


rules = open("deploy/prometheus/alerts.yml").read()
manual = open("docs/guides/operate.md").read()
reference = open("docs/reference/metrics.md").read()
board = json.load(open("deploy/grafana/dashboards/config-lookup.json"))
panels = [expression for panel in board["panels"] for expression in expressions(panel)]
ids = [panel["id"] for panel in board["panels"]]
assert len(ids) == len(set(ids)), "a panel's id twice"

problems = []
for where, text in [("alerts.yml", rules), *(("the dashboard", expression) for expression in panels)]:
    # A name with colons is that of a recording rule, which the page does not have.
    text = re.sub(r"\bconfig_lookup:\S+?:\w+", "", text)
    problems += [f"{where}: no such metric: {name}" for name in sorted(asked(text) - served - LABELS)]
for name in re.findall(r"alert: (\w+)", rules):
    if f"`{name}`" not in manual:
        problems.append(f"docs/guides/operate.md: does not describe the alert {name}")
for row in re.findall(r"^\| `([a-z_A-Z]+)(?:\{[^`]*\})?`", reference, re.MULTILINE):
    names = [row.replace("P_", f"{cache}_", 1) for cache in CACHES] if row.startswith("P_") else [row]
    for name in names:
        if OURS.fullmatch(name) and not any(one.startswith(name) for one in served):
            problems.append(f"docs/reference/metrics.md: no such metric: {name}")
assert not problems, "\n".join(problems)

with open(sys.argv[2], "w") as file:
    rows = [
        {"record": f"panel:{index}", "expr": expression.replace("$__rate_interval", "5m")}
        for index, expression in enumerate(panels)
    ]
    json.dump({"groups": [{"name": "panels", "rules": rows}]}, file)
print(f"{len(served)} metrics are served, including all that the alerts and {len(panels)} panel expressions use")
