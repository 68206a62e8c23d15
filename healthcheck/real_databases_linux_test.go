package healthcheck

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// prepare runs a program that makes what a server needs.
func prepare(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program(t, name), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// TestMySQLAgainstMariaDB makes more checks than the server forgives broken
// handshakes: it would lock this host out.
func TestMySQLAgainstMariaDB(t *testing.T) {
	program(t, "mariadbd")
	address, folder := freePort(t), filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	// What mariadb-install-db does, without the client's programs.
	prepare(t, "sh", "-c", `(printf '%s;\n' "create database mysql" "use mysql" "set @auth_root_socket=NULL"
		cat /usr/share/mysql/mysql_system_tables.sql /usr/share/mysql/mysql_system_tables_data.sql) |
		mariadbd --no-defaults --bootstrap --user=root --datadir="$1"`, "sh", folder)
	serve(t, address, "mariadbd", "--no-defaults", "--user=root", "--datadir="+folder, "--bind-address=127.0.0.1",
		"--port="+portOf(address), "--socket="+folder+"/socket", "--max-connect-errors=3",
		"--innodb-buffer-pool-size=8M", "--skip-name-resolve")
	for range 10 {
		want(t, probe(t, MySQL{}, address, 5*time.Second), Pass, ReasonAnswered, "refuses the user")
	}
	want(t, probe(t, MySQL{User: "root"}, address, 5*time.Second), Pass, ReasonAnswered, "")
}

func TestPostgreSQLAgainstPostgreSQL(t *testing.T) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		program(t, "postgres") // skips
		return
	}
	address, folder := freePort(t), filepath.Join(t.TempDir(), "data")
	// The server refuses to run as root.
	as := []string{"--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"}
	for _, dir := range []string{filepath.Dir(filepath.Dir(folder)), filepath.Dir(folder)} {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	prepare(t, "setpriv", append(as, found[0]+"/initdb", "-D", folder, "--auth=scram-sha-256", "--pwfile=/etc/hostname", "--no-sync")...)
	serve(t, address, "setpriv", append(as, found[0]+"/postgres", "-D", folder, "-h", "127.0.0.1", "-p", portOf(address), "-k", folder,
		"-c", "fsync=off")...)
	deadline := time.After(20 * time.Second)
	for {
		got := probe(t, PostgreSQL{}, address, 5*time.Second)
		if got.Outcome == Pass {
			break
		}
		want(t, got, Fail, ReasonUnexpected, "57P03: the database system is starting up")
		select {
		case <-deadline:
			t.Fatal("the server never starts up")
		case <-time.After(20 * time.Millisecond):
		}
	}
	want(t, probe(t, PostgreSQL{User: "postgres"}, address, 5*time.Second), Pass, ReasonAnswered, "")
}
