package scan

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// BenchmarkParse reads lines as fast as they can be read; pg_waldump writes about
// a million of them in a second.
func BenchmarkParse(b *testing.B) {
	text := ""
	for _, l := range recordLines {
		text += l.line + "\n"
	}
	text = strings.Repeat(text, 1000)
	b.SetBytes(int64(len(text)) / int64(len(recordLines)*1000))
	b.ReportAllocs()
	var r record
	for n := 0; n < b.N; {
		in := bufio.NewReaderSize(strings.NewReader(text), 512<<10)
		for ; n < b.N; n++ {
			line, err := readLine(in)
			if err == io.EOF {
				break
			}
			if _, err := r.parse(line); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// benchLog makes a log of about the size that COMEBACK_WAL_MB asks for, in
// segments of 16 MB as pgbench writes it: many small transactions, and now and
// then a large one.
func benchLog(b *testing.B, megabytes int) (r Reader, s Stretch) {
	b.Helper()
	c := newBenchCluster(b)
	conn := c.connect(b, "postgres")
	script := filepath.Join(c.dir, "script")
	pgbench := func(args ...string) {
		b.Helper()
		cmd := exec.CommandContext(b.Context(), c.Tools.Program("pgbench"), append(args, c.server.URL("postgres"))...)
		cmd.Env = []string{"PATH=/usr/bin:/bin"}
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("pgbench: %v: %s", err, out)
		}
	}
	pgbench("-i", "-q", "-s", "5")
	conn.do("create table big (id int primary key, note text)", "create index on big (note)", "checkpoint")
	if err := os.WriteFile(script, []byte("insert into big select i, md5(i::text) from generate_series((select coalesce(max(id), 0) + 1 from big), (select coalesce(max(id), 0) + 20000 from big)) i;\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	s.First = conn.lsn() / (16 << 20) * (16 << 20)
	for conn.lsn()-s.First < recovery.LSN(megabytes)<<20 {
		pgbench("-n", "-c", "8", "-j", "2", "-t", "5000")
		pgbench("-n", "-c", "1", "-t", "2", "-f", script)
	}
	s.To = conn.lsn()
	conn.do("select pg_switch_wal()", "checkpoint")
	names, err := ReadNames(b.Context(), conn.Conn)
	if err != nil {
		b.Fatal(err)
	}
	if err := c.server.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
	return Reader{Tools: c.Tools, SegmentSize: 16 << 20, Names: names, Fetch: c.fetch}, s
}

// newBenchCluster is a cluster with segments of the usual size.
func newBenchCluster(b *testing.B) *cluster {
	return newClusterOf(b, 16, map[string]string{"synchronous_commit": "off", "max_wal_size": "100GB"})
}

// BenchmarkReader compares reading a log with one pg_waldump over the same
// segments whose lines awk counts, and measures the memory that reading takes.
func BenchmarkReader(b *testing.B) {
	megabytes := 192
	if v := os.Getenv("COMEBACK_WAL_MB"); v != "" {
		fmt.Sscan(v, &megabytes)
	}
	r, s := benchLog(b, megabytes)
	size := int64(s.To - s.First)
	b.Run("pg_waldump and awk", func(b *testing.B) {
		b.SetBytes(size)
		dir := b.TempDir()
		for seg := uint64(s.First) / (16 << 20); seg <= uint64(s.To)/(16<<20); seg++ {
			if err := r.Fetch(b.Context(), segmentName(1, seg, 16<<20), filepath.Join(dir, segmentName(1, seg, 16<<20))); err != nil {
				b.Fatal(err)
			}
		}
		before, n := processorTime(b), 0
		for b.Loop() {
			plain(b, r.Tools, dir, s)
			n++
		}
		b.ReportMetric((processorTime(b)-before).Seconds()/float64(n), "cpu-s/op")
	})
	for _, jobs := range []int{1, 2} {
		b.Run(fmt.Sprintf("Read, %d jobs", jobs), func(b *testing.B) {
			b.SetBytes(size)
			r := r
			r.Jobs, r.Dir = jobs, b.TempDir()
			peak := watchMemory()
			before, loops, n := processorTime(b), 0, 0
			for b.Loop() {
				loops++
				n = 0
				for _, err := range r.Read(b.Context(), s) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			b.ReportMetric(float64(peak())/1e6, "peakMB")
			b.ReportMetric((processorTime(b)-before).Seconds()/float64(loops), "cpu-s/op")
			b.ReportMetric(float64(n), "transactions")
		})
	}
}

// plain is one pass of pg_waldump, with awk to count rows per table.
func plain(b *testing.B, tools postgres.Tools, dir string, s Stretch) {
	b.Helper()
	dump := exec.CommandContext(b.Context(), tools.Program("pg_waldump"), "-p", dir, "-s", s.First.String(), "-e", s.To.String())
	awk := exec.CommandContext(b.Context(), "awk", `/^rmgr: Heap/ && match($0, /rel [0-9\/]+/) { n[substr($0, RSTART, RLENGTH)]++ } END { for (k in n) print k, n[k] }`)
	dump.Env, awk.Env = []string{"TZ=UTC", "LC_ALL=C"}, []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	out, err := dump.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	awk.Stdin = out
	if err := awk.Start(); err != nil {
		b.Fatal(err)
	}
	if err := dump.Run(); err != nil {
		b.Fatal(err)
	}
	if err := awk.Wait(); err != nil {
		b.Fatal(err)
	}
}

// processorTime is what this process and the programs that it ran have used: on a
// busy host it tells more than the clock.
func processorTime(b *testing.B) (d time.Duration) {
	b.Helper()
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var use syscall.Rusage
		if err := syscall.Getrusage(who, &use); err != nil {
			b.Fatal(err)
		}
		d += time.Duration(use.Utime.Nano() + use.Stime.Nano())
	}
	return d
}

// watchMemory gives the most memory that this process had from the system.
func watchMemory() func() uint64 {
	var most atomic.Uint64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapSys-m.HeapReleased+m.StackSys))
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return func() uint64 {
		close(done)
		<-ended
		return most.Load()
	}
}
