#!/usr/bin/env python3
"""Makes the tables in README.md of what tests printed.

    cargo test -- --show-output > target/tests.log
    cargo test -p foreign -- --show-output >> target/tests.log
    docs/matrix.py target/tests.log

Two tables stand in README.md, each between a pair of comments:

* features: every line of docs/features.toml names a capability, where it is specified, and the tests that show it; it
  stands in the table only if each of these tests passed;
* peers: every line `matrix: PEER ROLE CASE ok|unsupported [WORDS]` that a test printed, and the cases for which
  docs/features.toml names tests. ROLE is Peregrine's.

A test that is named but did not pass is an error, and README.md stays as it is.
"""

import argparse
import pathlib
import re
import sys
import tomllib

DOCS = pathlib.Path(__file__).resolve().parent
README = DOCS.parent / "README.md"
BINARY = re.compile(r"^\s+Running (?:unittests )?(\S+) \(")
TEST = re.compile(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)")
CASE = re.compile(r"matrix: (\S+) (client|server|both) (\S+) (ok|unsupported) ?(.*)")
ORDER = [
    "handshake", "transfer", "longrtt", "chacha20", "multiplexing", "retry", "resumption", "zerortt",
    "amplificationlimit", "blackhole", "keyupdate", "handshakeloss", "transferloss", "handshakecorruption",
    "transfercorruption", "ecn", "rebind-port", "rebind-addr", "ipv6", "connectionmigration", "v2",
    "versionnegotiation", "goodput", "crosstraffic",
]
PEERS = ["simulator", "quinn", "s2n-quic", "aioquic"]


def read(logs):
    """What the logs say: the outcome of every test by `binary::test`, and the cases."""
    outcomes, cases, binary = {}, {}, ""
    for log in logs:
        for line in pathlib.Path(log).read_text(errors="replace").splitlines():
            if found := BINARY.match(line):
                path = pathlib.PurePath(found[1])
                binary = path.parent.name if path.stem in ("main", "lib", "mod") else path.stem
                binary = {"src": "lib"}.get(binary, binary)
            elif found := TEST.match(line):
                outcomes[f"{binary}::{found[1]}"] = found[2]
            elif found := CASE.search(line):
                peer, role, case, result, words = found.groups()
                cases[peer, role, case] = (result, words.strip())
    return outcomes, cases


def passed(names, outcomes, faults):
    """The tests of these names that passed."""
    shown = set()
    for name in names:
        of_name = {test: outcome for test, outcome in outcomes.items() if matches(test, name)}
        if "FAILED" in of_name.values() or "ok" not in of_name.values():
            faults.append(f"{name} {'failed' if 'FAILED' in of_name.values() else 'is no test that passed'}")
        shown |= {test for test, outcome in of_name.items() if outcome == "ok"}
    return shown


def features(named, outcomes, faults):
    """The table of capabilities."""
    lines = ["| capability | specified in | tests that passed |", "|---|---|---|"]
    for feature in named:
        count = len(passed(feature["tests"], outcomes, faults))
        where = ", ".join(f"`{name}`" for name in feature["tests"])
        lines.append(f"| {feature['name']} | {feature['in']} | {count}: {where} |")
    return lines


def add_cases(named, outcomes, cases, faults):
    """Adds the cases for which tests are named."""
    for column in named:
        for case, tests in column["tests"].items():
            if passed(tests, outcomes, faults):
                cases[column["peer"], column["role"], case] = ("ok", "")
        for case in column.get("without", []):
            cases[column["peer"], column["role"], case] = ("unsupported", "")


def matches(test, name):
    """Whether a test is the named one, or one of the named binary or module."""
    return test == name or test.startswith(name + "::")


def peers(cases):
    """The table of peers and test cases."""
    known = [peer for peer in PEERS if any(peer == key[0] for key in cases)]
    known += sorted({key[0] for key in cases} - set(known))
    columns = []
    for peer in known:
        roles = {key[1] for key in cases if key[0] == peer}
        columns += [(peer, role) for role in ("client", "server", "both") if role in roles]
    rows = ORDER + sorted({key[2] for key in cases} - set(ORDER))
    title = {"client": "{}'s server", "server": "{}'s client", "both": "{}"}
    head = "| case | " + " | ".join(title[role].format(peer) for peer, role in columns) + " |"
    lines = [head, "|---|" + "---|" * len(columns)]
    for case in rows:
        cells = [cell(cases.get((peer, role, case))) for peer, role in columns]
        if any(cells):
            lines.append(f"| {case} | " + " | ".join(cells) + " |")
    return lines


def cell(case):
    """One cell: passed, what it measured, or a dash where the peer cannot."""
    if case is None:
        return ""
    result, words = case
    return ("✓ " + words).strip() if result == "ok" else "—"


def replace(text, name, lines):
    """Puts a table between its comments."""
    begin, end = f"<!-- {name}: made by docs/matrix.py -->", f"<!-- end of {name} -->"
    before, opened, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        sys.exit(f"README.md has no place for {name}: put `{begin}` and `{end}` there")
    return f"{before}{begin}\n" + "\n".join(lines) + f"\n{end}{after}"


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", nargs="+", help="what `cargo test -- --show-output` printed")
    parser.add_argument("--check", action="store_true", help="only say whether README.md is what it would become")
    options = parser.parse_args()
    outcomes, cases = read(options.log)
    faults = [f"{test} failed" for test, outcome in outcomes.items() if outcome == "FAILED"]
    text = README.read_text()
    named = tomllib.loads((DOCS / "features.toml").read_text())
    add_cases(named["case"], outcomes, cases, faults)
    made = replace(text, "features", features(named["feature"], outcomes, faults))
    made = replace(made, "peers", peers(cases))
    if faults:
        sys.exit("README.md stays as it is:\n" + "\n".join(faults))
    if options.check:
        sys.exit(0 if made == text else "README.md is not what the tests say; run docs/matrix.py without --check")
    README.write_text(made)
    print(f"{len(outcomes)} tests, {len(cases)} cases: README.md is up to date")


if __name__ == "__main__":
    main()
