#!/usr/bin/env python3
"""Runs the release binary and what a user would run instead on the same pair, in turn, whole processes, and prints for
each the median time, the peak memory and the ratio to reconcile.

    pip install duckdb==2.0.0 tpchgen-cli==4.0.0 polars datacompy
    cargo build --release
    benches/peers/run.py SCALE [--folder DIR] [--order shuffled|same] [--rounds 5] [--peers duckdb-digest,duckdb-scan,…]
                         [--memory-limit 1GiB] [--drift 0.0003] [--no-plan] [--tools DIR_OF_MAKE_PAIR_AND_PEERS] [--binary PATH]
"""
import argparse, json, os, statistics, subprocess, sys, time

KEY = "l_orderkey,l_linenumber"


def measured(command, folder, statuses):
    """Seconds and peak MiB of one process, and what it printed."""
    began = time.time()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.time() - began
    if os.waitstatus_to_exitcode(status) not in statuses:
        sys.exit(f"{command[0]} failed: {output.decode(errors='replace')}")
    return seconds, usage.ru_maxrss / 1024, output.decode(errors="replace")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(os.path.dirname(here))
    arguments = argparse.ArgumentParser()
    arguments.add_argument("scale")
    arguments.add_argument("--folder", default=os.path.join(root, "target", "pairs"))
    arguments.add_argument("--order", default="shuffled", choices=["same", "shuffled"])
    arguments.add_argument("--drift", default="0.0003")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--memory-limit")
    arguments.add_argument("--no-plan", action="store_true")
    arguments.add_argument("--peers", default="duckdb-digest,duckdb-join,duckdb-scan")
    arguments.add_argument("--tools", default=os.path.join(os.path.dirname(root), "shared", "bench"))
    arguments.add_argument("--binary", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(root, "target")), "release", "reconcile"))
    a = arguments.parse_args()
    folder = os.path.abspath(os.path.join(a.folder, f"{a.scale}-{a.order}-{a.drift}"))
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(os.path.join(folder, "truth.json")):
        subprocess.run([sys.executable, os.path.join(a.tools, "make_pair.py"), a.scale, folder, "--order", a.order, "--drift", a.drift], check=True)
    truth = json.load(open(os.path.join(folder, "truth.json")))
    pair = ["authority.parquet", "projection.parquet"]
    programs = {"reconcile": [a.binary, "diff", *pair, "--key", KEY, "--format", "json", "--limit", "0", "--no-progress"]}
    programs["reconcile"] += ["--memory-limit", a.memory_limit] if a.memory_limit else []
    programs["reconcile"] += ["--no-plan"] if a.no_plan else []
    for peer in filter(None, a.peers.split(",")):
        programs[peer] = [sys.executable, os.path.join(a.tools, "peers.py"), peer, *pair, KEY]
    figures = {name: [] for name in programs}
    for _ in range(a.rounds):
        for name, command in programs.items():
            statuses = [1] if name == "reconcile" else [0]
            seconds, memory, output = measured(command, folder, statuses)
            figures[name].append((seconds, memory))
            if name == "reconcile":
                found = json.loads(output)["contracts"][0]["divergences"]
                found = {kind: found[kind] for kind in truth}
                assert found == truth, f"found {found}, truth {truth}"
    median = {name: statistics.median(seconds for seconds, _ in runs) for name, runs in figures.items()}
    print(f"SCALE {a.scale} {a.order}, drift {a.drift}: {truth}, {a.rounds} rounds, medians")
    for name, runs in figures.items():
        memory = statistics.median(memory for _, memory in runs)
        print(f"  {name:<16} {median[name]:7.2f} s  {memory:7.0f} MiB   reconcile/{name} = {median['reconcile'] / median[name]:.2f}")


if __name__ == "__main__":
    main()
