#!/usr/bin/env python3
"""Makes a run of a million divergences and measures its page in headless Chromium: its size, and the medians of some loads: when it
is loaded, and when its filter works. Asserts that the page stays under 5 MB and works within 2 s.

    cargo build --release && npm ci --prefix tests/browser
    benches/page/run.py [--binary PATH] [--lines 1000000] [--contracts 1] [--loads 3] [--folder DIR]

Chromium is /usr/bin/chromium, or what CHROMIUM names."""
import argparse, json, pathlib, statistics, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BYTES_MAX, SECONDS_MAX = 5_000_000, 2.0
ATTRIBUTES = ("name", "premium", "status", "changed_at")


def tables(folder, lines):
    """A quarter of the lines are missing keys, a quarter are orphans, half are values that differ, in one of four attributes."""
    quarter = lines // 4
    for side, first in (("authority", 0), ("projection", quarter)):
        with open(folder / f"{side}.csv", "w") as file:
            file.write(f"id,{','.join(ATTRIBUTES)}\n")
            for key in range(first, first + 3 * quarter):
                # Values differ by nothing that could be a cause of all of them.
                moved = [1 + key * 2654435761 % 9973 if side == "projection" and key % 4 == place else 0 for place in range(4)]
                day = f"2026-{1 + moved[3] // 1000:02}-{1 + key % 28:02}T00:{moved[3] % 60:02}:{moved[3] // 60 % 60:02}Z"
                file.write(f"{key},holder {key % 991} {moved[0]},{key % 5000 + moved[1]}.25,s{key % 7 + 10 * moved[2]},{day}\n")


def contracts(folder, number):
    text = 'version = 1\n[source.authority]\nlocation = "authority.csv"\n[source.projection]\nlocation = "projection.csv"\n'
    for place in range(number):
        text += f'[contract.c{place}]\nversion = "1.0.0"\nauthority = "authority"\nprojection = "projection"\nkey = ["id"]\n'
    (folder / "reconcile.toml").write_text(text)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", default=str(ROOT / "target/release/reconcile"))
    arguments.add_argument("--lines", type=int, default=1_000_000)
    arguments.add_argument("--contracts", type=int, default=1)
    arguments.add_argument("--loads", type=int, default=3)
    arguments.add_argument("--folder", help="keep what is made here")
    given = arguments.parse_args()
    if not (ROOT / "tests/browser/node_modules/playwright-core").is_dir():
        sys.exit("error: the browser's driver is not installed: npm ci --prefix tests/browser")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(given.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        tables(folder, given.lines // given.contracts)
        contracts(folder, given.contracts)
        ran = subprocess.run([given.binary, "run", "--quiet", "--no-cache", "--format", "json"], cwd=folder, stdout=subprocess.PIPE)
        if ran.returncode != 1:
            sys.exit(f"error: the run ended with {ran.returncode}, expected 1")
        said = json.loads(ran.stdout)
        lines = sum(sum(contract["severities"].values()) for contract in said["contracts"])
        page = folder / "reports" / said["run_id"] / "report.html"
        loads = subprocess.run(["node", pathlib.Path(__file__).with_name("load.mjs"), page, str(given.loads)], check=True, stdout=subprocess.PIPE)
        loads = json.loads(loads.stdout)
        assert all(load["works"] for load in loads), loads
        median = lambda what: statistics.median(load[what] for load in loads) / 1000
        size = page.stat().st_size
        print(f"{lines:,} lines in {given.contracts} contracts: {size / 1e6:.2f} MB, {loads[0]['elements']:,} elements")
        print(f"median of {len(loads)} loads: loaded {median('loaded'):.2f} s, filter works {median('interactive'):.2f} s")
        if size > BYTES_MAX or median("interactive") > SECONDS_MAX:
            sys.exit(f"error: more than {BYTES_MAX / 1e6:.0f} MB or {SECONDS_MAX:.0f} s")


if __name__ == "__main__":
    main()
