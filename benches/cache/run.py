#!/usr/bin/env python3
"""Measures a second run of the release binary against the first, where 90% of the files are unchanged: a pair of 40 Parquet files
a side, of which 4 on each side are rewritten with 50 changed rows each between the two. Prints the ratio of processor seconds
(user and system) and asserts that the second run says what a run without cache says.

    pip install pyarrow
    cargo build --release
    benches/cache/run.py --pair DIR_OF_A_PAIR [--folder DIR] [--key K] [--column C] [--binary PATH] [--changed 50] [--seed 1]

The pair is as benches/peers/run.py makes it; the split files are made once and kept in the folder."""
import argparse, json, os, random, resource, shutil, subprocess, sys, time

FILES, REWRITTEN = 40, 4
SHARE_MAX = 0.2


def split(pair, folder):
    import pyarrow.parquet as pq
    for side in ("authority", "projection"):
        if os.path.isdir(f"{folder}/{side}"):
            continue
        file = pq.ParquetFile(f"{pair}/{side}.parquet")
        compression, table = file.metadata.row_group(0).column(0).compression, file.read()
        os.makedirs(f"{folder}/{side}")
        rows = -(-table.num_rows // FILES)
        for number in range(FILES):
            pq.write_table(table.slice(number * rows, rows), f"{folder}/{side}/part-{number:02}.parquet", compression=compression, row_group_size=122880)


def rewrite(folder, column, changed, chance):
    """Adds one to some values of some files."""
    import pyarrow as pa, pyarrow.parquet as pq
    for side in ("authority", "projection"):
        for number in chance.sample(range(FILES), REWRITTEN):
            path = f"{folder}/{side}/part-{number:02}.parquet"
            file = pq.ParquetFile(path)
            compression, table = file.metadata.row_group(0).column(0).compression, file.read()
            index = table.column_names.index(column)
            values, field = table[column].to_pylist(), table.schema.field(index)
            for row in chance.sample(range(len(values)), changed):
                values[row] += 1
            table = table.set_column(index, field, pa.array(values, type=field.type))
            pq.write_table(table, path + ".new", compression=compression, row_group_size=122880)
            os.rename(path + ".new", path)


def measured(words, folder):
    """What it said, and its processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    said = json.loads(done.stdout)
    for name in ("run_id", "started_at", "elapsed_ms"):
        said.pop(name)
    taken = [contract.pop("taken_over", None) for contract in said["contracts"]][0]
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return said, taken, processor, wall


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--pair", required=True)
    parse.add_argument("--folder", default="target/cache-bench")
    parse.add_argument("--key", default="l_orderkey,l_linenumber")
    parse.add_argument("--column", default="l_quantity")
    parse.add_argument("--changed", type=int, default=50)
    parse.add_argument("--seed", type=int, default=1)
    parse.add_argument("--binary", default="target/release/reconcile")
    told = parse.parse_args()
    folder, binary = os.path.abspath(told.folder), os.path.abspath(told.binary)
    os.makedirs(folder, exist_ok=True)
    split(told.pair, folder)
    kept = f"{folder}/kept"
    shutil.rmtree(kept, ignore_errors=True)
    time.sleep(0.1)
    words = [binary, "diff", "authority", "projection", "--key", told.key, "--format", "json", "--no-progress"]
    plain, _, without, _ = measured(words, folder)
    first, _, first_time, first_wall = measured(words + ["--cache", kept], folder)
    assert first == plain
    same, taken, same_time, same_wall = measured(words + ["--cache", kept], folder)
    assert same == first
    rewrite(folder, told.column, told.changed, random.Random(told.seed))
    time.sleep(0.1)
    second, taken, second_time, second_wall = measured(words + ["--cache", kept], folder)
    plain, _, _, _ = measured(words, folder)
    assert second == plain, "the second run says something else"
    size = sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(kept) for name in names)
    print(f"without cache  {without:6.2f} s processor")
    print(f"first run      {first_time:6.2f} s processor, {first_wall:6.2f} s wall, keeps {size >> 20} MiB")
    print(f"all unchanged  {same_time:6.2f} s processor, {same_wall:6.2f} s wall: {same_time / first_time:.2f}x")
    share = second_time / first_time
    print(f"10% rewritten  {second_time:6.2f} s processor, {second_wall:6.2f} s wall: {share:.2f}x{'' if share <= SHARE_MAX else ', above what is promised'}, took over {taken}")


if __name__ == "__main__":
    main()
