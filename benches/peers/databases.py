#!/usr/bin/env python3
"""Compares a table of PostgreSQL with its copy in MariaDB, 100 differences in it, by reading all rows, by sums of segments, and
with reladiff: time, peak memory and bytes over the wire, whole processes in turn. It starts both servers in a temporary folder and
sends everything through relays that count, and that may be as slow as a line is.

    apt-get install postgresql mariadb-server
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install 'reladiff[postgresql,mysql]'
    cargo build --release
    benches/peers/databases.py [--rows 5000000] [--rounds 3] [--reladiff /tmp/peers/bin/reladiff] [--binary PATH]
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
        options = [f"-cport={port}", "-clisten_addresses=127.0.0.1", "-cunix_socket_directories=", "-cfsync=off", "-cmax_wal_size=8GB", "-cshared_buffers=512MB"]
        self.running.append(subprocess.Popen(as_user("postgres", [f"{binaries}/postgres", "-D", data, *options]), stderr=subprocess.DEVNULL, cwd="/"))
        self.psql = lambda sql: subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-c", sql], check=True)
        self.wait(["psql", "-X", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-c", "SELECT 1"])
        return port

    def start_mariadb(self):
        data, port = os.path.join(self.folder, "mariadb"), free_port()
        os.mkdir(data)
        if os.getuid() == 0:
            os.chown(data, pwd.getpwnam("mysql").pw_uid, pwd.getpwnam("mysql").pw_gid)
        subprocess.run(as_user("mysql", ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", f"--datadir={data}"]), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        binary = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        options = [f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1", f"--socket={data}/socket", f"--pid-file={data}/pid", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=1G", "--skip-name-resolve", "--local-infile=1"]
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
        postgres, mariadb = (relay.port for relay in relays)
        programs = {}
        for way in a.ways.split(","):
            path = contract(servers.folder, way, postgres, mariadb)
            programs[way] = [a.binary, "run", "--config", path, "--format", "json", "--no-progress", "--out", os.path.join(servers.folder, "reports")]
        if a.reladiff:
            programs["reladiff"] = [a.reladiff, f"postgresql://postgres@127.0.0.1:{postgres}/postgres", "orders",
                                    f"mysql://root@127.0.0.1:{mariadb}/shop", "orders", "-k", "id", *sum((["-c", column] for column in COLUMNS.split(", ")[1:]), []), "--stats", "--json"]
        figures = {name: [] for name in programs}
        for _ in range(a.rounds):
            for name, command in programs.items():
                before = sum(relay.bytes for relay in relays)
                seconds, memory, output = measured(command, servers.folder, [0] if name == "reladiff" else [1])
                figures[name].append((seconds, memory, sum(relay.bytes for relay in relays) - before))
                if name != "reladiff":
                    found = json.loads(output)["contracts"][0]
                    assert {kind: found["divergences"][kind] for kind in truth} == truth, f"{name} found {found}"
                    told = found.get("checksums")
                elif not figures[name][1:]:
                    print(output.strip()[-600:])
                if name == "auto":
                    print(f"auto: {told}")
        line = f"{a.milliseconds:g} ms, {a.megabits:g} Mbit/s" if a.milliseconds or a.megabits else "one machine"
        print(f"{a.rows} rows, {truth}, {line}, {a.rounds} rounds, medians")
        for name, runs in figures.items():
            seconds, memory, wire = (statistics.median(column) for column in zip(*runs))
            print(f"  {name:<10} {seconds:8.2f} s  {memory:6.0f} MiB  {wire / 1e6:9.2f} MB over the wire")
    finally:
        servers.stop()


if __name__ == "__main__":
    main()
