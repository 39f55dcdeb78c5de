#!/usr/bin/env python3
"""Compares text formats as `run.py` does Parquet: line items with a row number in front as the key, once as two CSV files and
once as two NDJSON files, made from the Parquet file that `run.py` leaves.

    cargo build --release
    cargo build --release --manifest-path benches/peers/csv_diff/Cargo.toml --target-dir target
    benches/peers/text.py csv|ndjson LINE_ITEMS.parquet [--rows 5000000] [--order shuffled|same] [--rounds 5] [--peers …]
"""
import argparse, json, multiprocessing, os, statistics, sys

from run import measured


def make(folder, extension, line_items, rows, order):
    """Writes authority, projection and the exact counts of drift: about 0.03% of rows, spread by a hash."""
    import duckdb
    os.makedirs(folder, exist_ok=True)
    db = duckdb.connect()
    db.execute("set threads=2")
    db.execute(f"""create view numbered as select *, hash(id * 7) % 11666 h
                   from (select row_number() over () id, * from '{line_items}' limit {rows})""")
    drifted = """
      select * exclude h replace (if(h = 1, l_quantity + 1, l_quantity)::decimal(15,2) as l_quantity,
        if(h = 2, 'X', l_linestatus) as l_linestatus, if(h = 3, l_receiptdate + interval 1 day, l_receiptdate)::date as l_receiptdate)
      from numbered where h <> 4
      union all select * exclude h replace (-id as id) from numbered where h = 5"""
    if order == "shuffled":
        drifted = f"from ({drifted}) order by hash(id * 31)"
    options = "header" if extension == "csv" else "format json"
    db.execute(f"copy (select * exclude h from numbered) to '{folder}/authority.{extension}' ({options})")
    db.execute(f"copy ({drifted}) to '{folder}/projection.{extension}' ({options})")
    count = lambda kinds: db.execute(f"select count(*) from numbered where h in ({kinds})").fetchone()[0]
    truth = {"missing": count("4"), "orphan": count("5"), "mismatch": count("1, 2, 3")}
    json.dump(truth, open(f"{folder}/truth.json", "w"))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(os.path.dirname(here))
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(root, "target"))
    arguments = argparse.ArgumentParser()
    arguments.add_argument("format", choices=["csv", "ndjson"])
    arguments.add_argument("line_items")
    arguments.add_argument("--folder", help="where the pair lies, or is made")
    arguments.add_argument("--rows", type=int)
    arguments.add_argument("--order", default="shuffled", choices=["same", "shuffled"])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--peers", help="of duckdb-join, duckdb-digest, csv-diff")
    arguments.add_argument("--tools", default=os.path.join(os.path.dirname(root), "shared", "bench"))
    arguments.add_argument("--binary", default=os.path.join(target, "release", "reconcile"))
    arguments.add_argument("--csv-diff", default=os.path.join(target, "release", "csv_diff_peer"))
    a = arguments.parse_args()
    rows = a.rows or {"csv": 5_000_000, "ndjson": 2_000_000}[a.format]
    folder = os.path.abspath(a.folder or os.path.join(root, "target", "pairs", f"{a.format}-{rows}-{a.order}"))
    if not os.path.exists(f"{folder}/truth.json"):
        # In a process of its own, since the peak memory of a process is at least that of the one that started it.
        making = multiprocessing.Process(target=make, args=(folder, a.format, os.path.abspath(a.line_items), rows, a.order))
        making.start(), making.join()
    truth = json.load(open(f"{folder}/truth.json"))
    pair = [f"authority.{a.format}", f"projection.{a.format}"]
    peers = {"csv-diff": [a.csv_diff, *pair]}
    for name in ["duckdb-join", "duckdb-digest"]:
        peers[name] = [sys.executable, os.path.join(a.tools, "peers.py"), name, *pair, "id"]
    usual = {"csv": "csv-diff,duckdb-join", "ndjson": "duckdb-join"}[a.format]
    programs = {"reconcile": [a.binary, "diff", *pair, "--key", "id", "--format", "json", "--limit", "0", "--no-progress"]}
    programs |= {name: peers[name] for name in filter(None, (usual if a.peers is None else a.peers).split(","))}
    figures = {name: [] for name in programs}
    for _ in range(a.rounds):
        for name, command in programs.items():
            seconds, memory, output = measured(command, folder, [1] if name == "reconcile" else [0])
            figures[name].append((seconds, memory))
            if name == "reconcile":
                found = json.loads(output)["contracts"][0]["divergences"]
                assert {kind: found[kind] for kind in truth} == truth, f"found {found}, truth {truth}"
            elif name != "duckdb-digest":
                assert str(sum(truth.values())) in output, f"{name} found {output}, truth {truth}"
    median = {name: statistics.median(seconds for seconds, _ in runs) for name, runs in figures.items()}
    print(f"{a.format}, {rows} rows, {a.order}: {truth}, {a.rounds} rounds, medians")
    for name, runs in figures.items():
        memory = statistics.median(memory for _, memory in runs)
        print(f"  {name:<16} {median[name]:7.2f} s  {memory:7.0f} MiB   reconcile/{name} = {median['reconcile'] / median[name]:.2f}")


main()
