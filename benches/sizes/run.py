#!/usr/bin/env python3
"""Measures the release binary, as a whole process, on inputs whose size or shape is what is hard about them: seconds, user
seconds, peak memory and the most that lay spilled (Linux), with and without `--memory-limit`. Asserts the counts, and marks
what breaks a promise: more than the limit, or more than its share of a smaller input's time.

    pip install duckdb==2.0.0 pyarrow
    cargo build --release
    benches/sizes/run.py [--folder DIR] [--cases wide,grow,…] [--limits none,512MiB,256MiB] [--rounds 1] [--binary PATH]
                         [--lineitem DIR_OF_A_PAIR] [--tools DIR_OF_MAKE_PAIR_AND_PEERS]

`dense`, `grow` and `identical` need a pair as benches/peers/run.py makes it, of about 12 million rows.
Inputs are made once and kept; they take about 2 GiB. What is spilled lies beside them: 6 GiB were seen."""
import argparse, json, os, shutil, subprocess, sys, tempfile, time

# The child's peak as the system tells it begins with that of the process that forked it. So this one stays small: it never
# imports duckdb or pyarrow, inputs are made in a process of their own.
SECONDS_MAX = 600
KEY = "l_orderkey,l_linenumber"
SHARE_MAX = 11           # ten times the rows may take eleven times the time
LIMIT_SLACK = 1.15       # the binary itself, stacks and what the allocator keeps
MIB = 1 << 20


# --- Inputs, each made in its folder ---------------------------------------------------------------------------------


def table(db, query, path, options=""):
    db.execute(f"copy ({query}) to '{path}' (format parquet, compression zstd{options})")


def make_wide(db, folder, _):
    """400 columns of many kinds of cardinality; one row in a thousand has one other value."""
    for name, rows in (("100k", 100_000), ("1m", 1_000_000)):
        column = lambda c: f"((i * {2 * c + 1}) % {(7, 100, 1009, 30011)[c % 4]})::int c{c}" if c % 5 else f"'v' || (i * {c + 1} % {500 + c}) c{c}"
        columns = ", ".join(column(c) for c in range(2, 399))
        for side, changed in (("a", "0"), ("b", "if(i % 1000 = 3, 1, 0)")):
            table(db, f"select i id, {columns}, i * 3 + {changed} last from range({rows}) t(i)", f"{folder}/{name}-{side}.parquet", ", row_group_size 20480")
    return {"100k": {"mismatch": 100}, "1m": {"mismatch": 1000}}


def make_contracts(db, folder, _):
    """200 contracts of 10,000 rows, of which 10 differ in each."""
    text = 'version = 1\n[run]\nreports = "reports"\n'
    for c in range(200):
        for side, changed in (("a", "0"), ("b", "if(i % 1000 = 1, 1, 0)")):
            table(db, f"select i id, 'name ' || (i + {c}) as name, i % 97 + {changed} amount, date '2020-01-01' + (i % 1000)::int as day from range(10000) t(i)", f"{folder}/{side}{c}.parquet")
            text += f'[source.{side}{c}]\nlocation = "{side}{c}.parquet"\n'
        text += f'[contract.c{c}]\nversion = "1.0.0"\nauthority = "a{c}"\nprojection = "b{c}"\nkey = ["id"]\n'
    with open(f"{folder}/reconcile.toml", "w") as file:
        file.write(text)
    return {"run": {"mismatch": 10}}


def make_duplicates(db, folder, _):
    """100,000 rows with keys of their own, and a million that share one, on one side or on both."""
    own = "select i::bigint id, 'row ' || i as name, i % 97 amount from range(1, 100001) t(i)"
    many = "select 0::bigint id, 'copy ' || i as name, i % 97 amount from range(1000000) t(i)"
    one = "select 0::bigint id, 'copy 0' as name, 0::bigint amount"
    table(db, f"{own} union all {many}", f"{folder}/many.parquet")
    table(db, f"{many} union all {own}", f"{folder}/other.parquet")
    table(db, f"{own} union all {one}", f"{folder}/one.parquet")
    return {"one": {"duplicate_key": 1}, "both": {"duplicate_key": 1}}


def make_cells(db, folder, _):
    """200 rows with 5 MB of text each; the last letter of ten of them differs."""
    for side, last in (("a", "'.'"), ("b", "if(i % 20 = 7, '!', '.')")):
        table(db, f"select i id, repeat(md5(i::text) || md5((i * 7)::text), 78125) || {last} as body from range(200) t(i)", f"{folder}/{side}.parquet")
    return {"cells": {"mismatch": 10}}


def make_longkeys(db, folder, _):
    """A million rows whose key is a text of 200 bytes; a hundred are missing, a hundred are orphans, a thousand differ."""
    key = "md5(i::text) || md5((i + 1)::text) || repeat('k', 100) || md5((i + 2)::text) || lpad(({})::text, 4, '0')"
    table(db, f"select {key.format('i % 1000')} id, i v, i % 7 w from range(1000000) t(i)", f"{folder}/a.parquet")
    table(db, f"select {key.format('if(i % 10000 = 5, 1, 0) * 9000 + i % 1000')} id, i v, if(i % 1000 = 9, -1, i % 7) w from range(1000000) t(i) order by hash(i)", f"{folder}/b.parquet")
    return {"longkeys": {"missing": 100, "orphan": 100, "mismatch": 1000}}


def make_small_groups(db, folder, _):
    """1,000 row groups of 100 rows."""
    import pyarrow as arrow, pyarrow.parquet as parquet
    for side in "ab":
        ids = range(100_000)
        columns = {"id": ids, "name": [f"name {i}" for i in ids], "amount": [i % 97 + (side == "b" and i % 1000 == 1) for i in ids]}
        columns |= {f"c{c}": [i * c % 1009 for i in ids] for c in range(9)}
        parquet.write_table(arrow.table(columns), f"{folder}/{side}.parquet", row_group_size=100)
    return {"small-groups": {"mismatch": 100}}


def make_files(db, folder, _):
    """2,000 files of 100 rows a side."""
    import pyarrow as arrow, pyarrow.parquet as parquet
    for side in "ab":
        os.makedirs(f"{folder}/{side}", exist_ok=True)
        for f in range(2000):
            ids = range(f * 100, f * 100 + 100)
            columns = {"id": ids, "name": [f"name {i}" for i in ids], "amount": [i % 97 + (side == "b" and i % 1000 == 1) for i in ids]}
            parquet.write_table(arrow.table(columns), f"{folder}/{side}/{f:04}.parquet")
    return {"files": {"mismatch": 200}}


def make_dense(db, folder, lineitem):
    """lineitem against a copy in which one row in ten, or each, has another quantity; in three sizes."""
    known = {}
    for name, most in (("120k", 120_000), ("1.2m", 1_200_000), ("12m", None)):
        source = f"select * from '{lineitem}/authority.parquet'" + (f" limit {most}" if most else "")
        table(db, source, f"{folder}/{name}-a.parquet")
        for drift, changed in (("10", "l_quantity + if(hash(l_orderkey * 7 + l_linenumber) % 10 = 3, 1, 0)"), ("100", "l_quantity + 1")):
            query = f"select * replace (({changed})::decimal(15, 2) as l_quantity) from '{folder}/{name}-a.parquet'"
            table(db, query, f"{folder}/{name}-{drift}.parquet")
            where = "hash(l_orderkey * 7 + l_linenumber) % 10 = 3" if drift == "10" else "true"
            count = db.execute(f"select count(*) from '{folder}/{name}-a.parquet' where {where}").fetchone()[0]
            known[f"{name}-{drift}%"] = {"mismatch": count}
    return known


def make_grow(db, folder, lineitem):
    """The first tenth of the pair's orders, so that the same rows pair as in the whole."""
    for name in ("authority", "projection"):
        table(db, f"select * from '{lineitem}/{name}.parquet' where abs(l_orderkey) <= (select max(l_orderkey) / 10 from '{lineitem}/authority.parquet')", f"{folder}/{name}.parquet")
    join = f"'{folder}/authority.parquet' a {{}} join '{folder}/projection.parquet' b on a.l_orderkey = b.l_orderkey and a.l_linenumber = b.l_linenumber"
    count = lambda how, where: db.execute(f"select count(*) from {join.format(how)} {where}").fetchone()[0]
    values = "(a.l_quantity, a.l_linestatus, a.l_receiptdate) is distinct from (b.l_quantity, b.l_linestatus, b.l_receiptdate)"
    known = {"missing": count("anti", ""), "mismatch": count("", f"where {values}")}
    known["orphan"] = db.execute(f"select count(*) from '{folder}/projection.parquet' where l_orderkey < 0").fetchone()[0]
    with open(f"{lineitem}/truth.json") as file:
        return {"1.2m": known, "12m": json.load(file)}


def make(case, folder, lineitem):
    import duckdb
    db = duckdb.connect()
    db.execute(f"set threads=2; set memory_limit='8GB'; set temp_directory='{folder}/tmp'; set preserve_insertion_order=true")
    known = globals()["make_" + case.replace("-", "_")](db, folder, lineitem)
    with open(f"{folder}/known.json", "w") as file:
        json.dump(known, file)


# --- Runs --------------------------------------------------------------------------------------------------------------

# For each case: name of the run, authority, projection, options.
def runs_of(case, lineitem):
    plain = {
        "wide": [(n, f"{n}-a.parquet", f"{n}-b.parquet", ["--key", "id"]) for n in ("100k", "1m")],
        "duplicates": [("one", "many.parquet", "one.parquet", ["--key", "id"]), ("both", "many.parquet", "other.parquet", ["--key", "id"])],
        "cells": [("cells", "a.parquet", "b.parquet", ["--key", "id"])],
        "longkeys": [("longkeys", "a.parquet", "b.parquet", ["--key", "id"])],
        "small-groups": [("small-groups", "a.parquet", "b.parquet", ["--key", "id"])],
        "files": [("files", "a/*.parquet", "b/*.parquet", ["--key", "id"])],
        "grow": [("1.2m", "authority.parquet", "projection.parquet", ["--key", KEY]), ("12m", f"{lineitem}/authority.parquet", f"{lineitem}/projection.parquet", ["--key", KEY])],
        "identical": [("12m", f"{lineitem}/authority.parquet", f"{lineitem}/authority.parquet", ["--key", KEY])],
    }
    if case == "dense":
        options = (("", ["--no-plan"]), (" --out", ["--no-plan", "--out", "out"]))
        pairs = [(n, d) for n in ("120k", "1.2m", "12m") for d in ("10", "100")]
        return [(f"{n}-{d}%{o}", f"{n}-a.parquet", f"{n}-{d}.parquet", ["--key", KEY, *more]) for n, d in pairs for o, more in options]
    return plain.get(case, [])


def spilled(process, folder):
    """Bytes of the files below a folder that a process has open; they have no name."""
    total = 0
    try:
        for file in os.scandir(f"/proc/{process}/fd"):
            if os.readlink(file.path).startswith(folder):
                total += os.stat(file.path).st_size
    except OSError:  # It has ended, or closed the file meanwhile; or there is no /proc.
        pass
    return total


def measured(command, folder):
    """Status, seconds, user seconds, peak bytes, bytes spilled, what it printed. Status None: it took too long and was killed."""
    spill = os.path.join(folder, "spill")
    os.makedirs(spill, exist_ok=True)
    most, late, began = 0, False, time.time()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": spill})
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            seconds = time.time() - began
            if ended:
                break
            most = max(most, spilled(process.pid, spill))
            if seconds > SECONDS_MAX and not late:
                late = True
                process.kill()
            time.sleep(0.005 if seconds < 1 else 0.05)
        output.seek(0)
        said = output.read().decode(errors="replace")
    process.returncode = os.waitstatus_to_exitcode(status)
    return None if late else process.returncode, seconds, usage.ru_utime, usage.ru_maxrss * 1024, most, said


def counts(output, known):
    """Asserts that each contract has the counts that are known, and no others."""
    document = output[output.index("{"):]
    for contract in json.JSONDecoder().raw_decode(document)[0]["contracts"]:
        found = {kind: count for kind, count in contract["divergences"].items() if count}
        assert found == known, f"{contract['name']}: found {found}, known {known}"


def in_bytes(limit):
    return int(limit.removesuffix("MiB")) * MIB if limit != "none" else None


class Table:
    def __init__(self):
        self.broken, self.user, self.seconds = [], {}, {}
        print(f"{'case':<14} {'run':<14} {'limit':>7} {'s':>8} {'user s':>8} {'MiB':>7} {'spilled':>7}", flush=True)

    def line(self, case, run, limit, figures, note=""):
        _, seconds, user, peak, spilled, _ = figures
        if in_bytes(limit) and peak > LIMIT_SLACK * in_bytes(limit):
            note += f" {peak / in_bytes(limit):.1f} x its limit"
        ten_times = {"1m": "100k", "1.2m-10%": "120k-10%", "12m": "1.2m", "1.2m-100%": "120k-100%", "12m-10%": "1.2m-10%", "12m-100%": "1.2m-100%"}
        name, dash, rest = run.partition(" ")
        smaller = self.user.get((case, ten_times.get(name, "") + dash + rest, limit))
        if smaller:
            note += f" {user / smaller:.1f} x the user time of a tenth"
            if user > SHARE_MAX * smaller and case != "duckdb-join":
                note += f", above {SHARE_MAX} x"
        if " above " in note or " x its limit" in note or "failed" in note or "not as known" in note:
            self.broken.append(f"{case} {run} {limit}:{note}")
        self.user[(case, run, limit)], self.seconds[(case, run, limit)] = user, seconds
        print(f"{case:<14} {run:<14} {limit:>7} {seconds:8.2f} {user:8.2f} {peak / MIB:7.0f} {spilled / MIB:7.0f} {note}", flush=True)


def run_case(a, case, folder, shown):
    with open(f"{folder}/known.json") as file:
        known = json.load(file)
    common = ["--format", "json", "--limit", "0", "--no-progress"]
    for limit in a.limits.split(","):
        limited = [] if limit == "none" else ["--memory-limit", limit]
        if case == "contracts":
            runs = [("run", ["run", *common, *limited], known["run"])]
        else:
            runs = [(n, ["diff", left, right, *options, *common, *limited], known.get(n.split(" ")[0], {})) for n, left, right, options in runs_of(case, a.lineitem)]
        for name, words, expected in runs:
            if a.runs and not any(part in name for part in a.runs.split(",")):
                continue
            figures = []
            for _ in range(a.rounds):
                for left_behind in ("out", "reports"):
                    shutil.rmtree(f"{folder}/{left_behind}", ignore_errors=True)
                figures.append(measured([a.binary, *words], folder))
            figures.sort(key=lambda figure: figure[1])
            middle = figures[len(figures) // 2]
            note = ""
            if middle[0] not in (0, 1):
                said = [line for line in middle[5].splitlines() if "error" in line]
                note = f" failed with {middle[0]}: {(said or [''])[0].strip()[:120]}"
            else:
                try:
                    counts(middle[5], expected)
                except AssertionError as error:
                    note = f" not as known: {error}"
            shown.line(case, name, limit, middle, note)
    if case == "dense" and a.peers:
        for n in ("120k", "1.2m", "12m"):
            for drift in ("10", "100"):
                name = f"{n}-{drift}%"
                if a.runs and not any(part in name for part in a.runs.split(",")):
                    continue
                command = [sys.executable, f"{a.tools}/peers.py", "duckdb-join", f"{n}-a.parquet", f"{n}-{drift}.parquet", KEY]
                figures = measured(command, folder)
                seconds = shown.seconds.get((case, name, "none"))
                note = f" reconcile/duckdb-join = {seconds / figures[1]:.2f}" if seconds else ""
                shown.line("duckdb-join", name, "none", figures, note if figures[0] == 0 else f" failed: {figures[5][-120:]}")


CASES = ["wide", "contracts", "duplicates", "cells", "dense", "grow", "identical", "longkeys", "small-groups", "files"]


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(os.path.dirname(here))
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(root, "target"))
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--folder", default=os.path.join(root, "target", "sizes"))
    arguments.add_argument("--cases", default=",".join(CASES))
    arguments.add_argument("--runs", default="", help="only runs whose name has one of these parts")
    arguments.add_argument("--limits", default="none,512MiB,256MiB")
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--no-peers", dest="peers", action="store_false")
    arguments.add_argument("--lineitem", default=os.path.join(root, "target", "pairs", "2-shuffled-0.0003"))
    arguments.add_argument("--tools", default=os.path.join(os.path.dirname(root), "shared", "bench"))
    arguments.add_argument("--binary", default=os.path.join(target, "release", "reconcile"))
    arguments.add_argument("--make", help=argparse.SUPPRESS)
    a = arguments.parse_args()
    for name in ("folder", "lineitem", "tools", "binary"):
        setattr(a, name, os.path.abspath(getattr(a, name)))
    if a.make:
        return make(a.make, os.path.join(a.folder, a.make), a.lineitem)
    if a.peers and "dense" in a.cases.split(",") and not os.path.exists(f"{a.tools}/peers.py"):
        sys.exit(f"{a.tools} has no peers.py: name its folder with --tools, or leave it out with --no-peers")
    shown = Table()
    for case in a.cases.split(","):
        folder = os.path.join(a.folder, case)
        os.makedirs(folder, exist_ok=True)
        if case == "identical":
            with open(f"{folder}/known.json", "w") as file:
                json.dump({"12m": {}}, file)
        if not os.path.exists(f"{folder}/known.json"):
            command = [sys.executable, os.path.abspath(__file__), "--make", case, "--folder", a.folder, "--lineitem", a.lineitem]
            subprocess.run(command, check=True)
        run_case(a, case, folder, shown)
    if shown.broken:
        print("\nbroken promises:")
        for line in shown.broken:
            print(f"  {line}")
        sys.exit(1)


main()
