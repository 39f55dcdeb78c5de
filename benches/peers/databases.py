#!/usr/bin/env python3
"""Compares a table of PostgreSQL with its copy in MariaDB, 100 differences in it, by reading all rows, by sums of segments, and
with reladiff: time, peak memory and bytes over the wire, whole processes in turn, as a Markdown table. It starts both servers in a
temporary folder, which is gone afterwards. Bytes are counted in a round of their own, through relays; times are those of rounds
without them, unless the relays are to be as slow as a line is.

    apt-get install postgresql mariadb-server
    python3 -m venv peers && peers/bin/pip install reladiff==0.6.0 psycopg2-binary mysql-connector-python
    cargo build --release
    benches/peers/databases.py [--rows 5000000] [--rounds 3] [--reladiff peers/bin/reladiff] [--binary PATH] [--ways never,always,auto]
                               [--milliseconds 0] [--megabits 0]     (a round trip, and what the line carries; 0: as fast as it is)
"""
import argparse, glob, json, os, pwd, shutil, socket, statistics, subprocess, sys, tempfile, threading, time

from run import measured

COLUMNS = "id, customer, status, amount, note, placed"
TYPES = {
    "postgres": "id bigint PRIMARY KEY, customer integer, status text, amount numeric(12,2), note text, placed timestamp",
    "mariadb": "id bigint PRIMARY KEY, customer integer, status varchar(20), amount decimal(12,2), note varchar(60), placed datetime(6)",
}
ROWS = """SELECT i, i % 99991, (ARRAY['open','paid','void'])[1 + i % 3], (i % 1000003) / 100.0, 'note ' || md5(i::text),
          timestamp '2026-01-01' + i * interval '1.000001 second' FROM generate_series(1, {rows}) i"""


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def as_user(user, command):
    if os.getuid() != 0:
        return command
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]


class Relay:
    """Carries bytes between the program and a server, counts them, and takes as long as a line would."""

    def __init__(self, to, milliseconds, bits_per_second):
        self.to, self.delay, self.rate, self.bytes = to, milliseconds / 2000, bits_per_second / 8, 0
        self.lock, self.free_at = threading.Lock(), 0.0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(("127.0.0.1", self.to))
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    def carry(self, one, other):
        try:
            while data := one.recv(1 << 18):
                with self.lock:
                    self.bytes += len(data)
                    now = time.monotonic()
                    self.free_at = max(self.free_at, now) + (len(data) / self.rate if self.rate else 0)
                    wait = self.free_at - now + self.delay
                if wait > 0:
                    time.sleep(wait)
                other.sendall(data)
        except OSError:
            pass
        finally:
            for end in (one, other):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class Servers:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="databases")
        os.chmod(self.folder, 0o755)
        self.running = []

    def start_postgres(self):
        binaries = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
        data, port = os.path.join(self.folder, "postgres"), free_port()
        os.mkdir(data)
        if os.getuid() == 0:
            os.chown(data, pwd.getpwnam("postgres").pw_uid, pwd.getpwnam("postgres").pw_gid)
        subprocess.run(as_user("postgres", [f"{binaries}/initdb", "-U", "postgres", "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8", "-D", data]), check=True, stdout=subprocess.DEVNULL, cwd="/")
        options = [f"-cport={port}", "-clisten_addresses=127.0.0.1", "-cunix_socket_directories=", "-cfsync=off", "-cmax_wal_size=4GB", "-cwal_level=minimal", "-cmax_wal_senders=0", "-cshared_buffers=512MB"]
        self.running.append(subprocess.Popen(as_user("postgres", [f"{binaries}/postgres", "-D", data, *options]), stderr=subprocess.DEVNULL, cwd="/"))
        self.psql = lambda sql: subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-c", sql], check=True)
        self.wait(["psql", "-X", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-c", "SELECT 1"])
        return port

    def start_mariadb(self):
        data, port = os.path.join(self.folder, "mariadb"), free_port()
        os.mkdir(data)
        if os.getuid() == 0:
            os.chown(data, pwd.getpwnam("mysql").pw_uid, pwd.getpwnam("mysql").pw_gid)
        subprocess.run(as_user("mysql", ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", f"--datadir={data}", f"--tmpdir={data}"]), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        binary = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        options = [f"--datadir={data}", f"--tmpdir={data}", f"--port={port}", "--bind-address=127.0.0.1", f"--socket={data}/socket", f"--pid-file={data}/pid", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=1G", "--skip-name-resolve", "--local-infile=1"]
        self.running.append(subprocess.Popen(as_user("mysql", [binary, "--no-defaults", *options]), stderr=subprocess.DEVNULL, cwd="/"))
        client = ["mariadb", "--no-defaults", "--protocol=tcp", "-h127.0.0.1", f"-P{port}", "-uroot", "--local-infile=1"]
        self.mariadb = lambda sql: subprocess.run([*client, "-e", sql], check=True)
        self.wait([*client, "-e", "SELECT 1"])
        return port

    def wait(self, command):
        for _ in range(600):
            if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.1)
        sys.exit(f"{command[0]}: the server does not answer")

    def stop(self):
        for server in self.running:
            server.terminate()
        for server in self.running:
            server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def fill(servers, rows):
    """The same rows on both, then 100 differences in the copy: 60 changed, 20 lost, 20 more."""
    servers.psql(f"CREATE TABLE orders ({TYPES['postgres']}); INSERT INTO orders {ROWS.format(rows=rows)}; ANALYZE orders")
    text = os.path.join(servers.folder, "orders.tsv")
    servers.psql(f"\\copy orders TO '{text}'")
    step = rows // 100
    servers.mariadb(f"""CREATE DATABASE shop; USE shop; CREATE TABLE orders ({TYPES['mariadb']}) CHARACTER SET utf8mb4;
        LOAD DATA LOCAL INFILE '{text}' INTO TABLE orders CHARACTER SET utf8mb4;
        UPDATE orders SET amount = amount + 0.01 WHERE id % {step} = 7 AND id < {60 * step};
        DELETE FROM orders WHERE id % {step} = 7 AND id BETWEEN {60 * step} AND {80 * step};
        INSERT INTO orders SELECT id + {2 * rows}, customer, status, amount, note, placed FROM orders WHERE id % {step} = 7 AND id > {80 * step};
        ANALYZE TABLE orders""")
    os.unlink(text)
    return {"missing": 20, "orphan": 20, "mismatch": 60}


def contract(folder, pushdown, postgres, mariadb):
    path = os.path.join(folder, f"{pushdown}.toml")
    with open(path, "w") as file:
        file.write(f"""version = 1
[source.orders]
location = "postgres://postgres@127.0.0.1:{postgres}/postgres?sslmode=disable"
table = "orders"
pushdown = "{pushdown}"
[source.copy]
location = "mysql://root@127.0.0.1:{mariadb}/shop?sslmode=disable"
table = "orders"
pushdown = "{pushdown}"
[contract.orders]
version = "1.0.0"
authority = "orders"
projection = "copy"
key = ["id"]
""")
    return path


def counted(name, output, reports):
    """What a program found, as the truth is told: kinds and counts; and what it says of checksums."""
    if name == "reladiff":
        # Its lines are nearly JSON: dates stand there as they are in Python.
        signs = [line[2] for line in output.splitlines() if line.startswith(('["-"', '["+"'))]
        # A row that differs is there with either sign.
        return {"-": signs.count("-"), "+": signs.count("+")}, None
    newest = max(glob.glob(os.path.join(reports, "*", "summary.json")), key=os.path.getmtime)
    with open(newest) as file:
        found = json.load(file)["contracts"][0]
    return found["divergences"], found.get("checksums")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(os.path.dirname(os.path.dirname(here)), "target"))
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rows", type=int, default=5_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--reladiff", help="the program; without it there is no peer")
    arguments.add_argument("--milliseconds", type=float, default=0)
    arguments.add_argument("--megabits", type=float, default=0)
    arguments.add_argument("--ways", default="never,always,auto")
    arguments.add_argument("--binary", default=os.path.join(target, "release", "reconcile"))
    a = arguments.parse_args()
    servers = Servers()
    try:
        ports = [servers.start_postgres(), servers.start_mariadb()]
        truth = fill(servers, a.rows)
        relays = [Relay(port, a.milliseconds, a.megabits * 1e6) for port in ports]
        slow, reports = a.milliseconds or a.megabits, os.path.join(servers.folder, "reports")

        def command(name, through):
            postgres, mariadb = (relay.port for relay in relays) if through else ports
            if name == "reladiff":
                databases = [f"postgresql://postgres@127.0.0.1:{postgres}/postgres", "orders", f"mysql://root@127.0.0.1:{mariadb}/shop", "orders"]
                return [a.reladiff, *databases, "-k", "id", *sum((["-c", column] for column in COLUMNS.split(", ")[1:]), []), "--json"]
            return [a.binary, "run", "--config", contract(servers.folder, name, postgres, mariadb), "--quiet", "--out", reports]

        names = a.ways.split(",") + (["reladiff"] if a.reladiff else [])
        figures, wire, told = {name: [] for name in names}, {}, {}
        # The first round counts bytes.
        for round in range(a.rounds + 1):
            for name in names:
                before = sum(relay.bytes for relay in relays)
                seconds, memory, output = measured(command(name, round == 0 or slow), servers.folder, [0] if name == "reladiff" else [1])
                found, told[name] = counted(name, output, reports)
                expected = {"-": 80, "+": 80} if name == "reladiff" else truth
                assert {kind: found[kind] for kind in expected} == expected, f"{name} found {found}: {output[-600:]}"
                if round == 0:
                    wire[name] = sum(relay.bytes for relay in relays) - before
                else:
                    figures[name].append((seconds, memory))
        line = f"a line of {a.milliseconds:g} ms and {a.megabits:g} Mbit/s" if slow else "one machine"
        print(f"{a.rows:,} rows a side, 100 differences, {line}, {a.rounds} rounds, medians\n")
        print("| program | time | peak memory | over the wire | reladiff takes |\n| --- | --- | --- | --- | --- |")
        medians = {name: [statistics.median(column) for column in zip(*runs)] for name, runs in figures.items()}
        for name, (seconds, memory) in medians.items():
            program = name if name == "reladiff" else f'`pushdown = "{name}"`'
            ratio = f"{medians['reladiff'][0] / seconds:.1f} x as long" if a.reladiff else ""
            print(f"| {program} | {seconds:.1f} s | {memory:.0f} MiB | {wire[name] / 1e6:.1f} MB | {ratio} |")
        for name, checksums in told.items():
            if checksums:
                print(f"\n{name}: {'used' if checksums['used'] else 'not used'}, {checksums['because']}; {checksums}")
    finally:
        servers.stop()


if __name__ == "__main__":
    main()
