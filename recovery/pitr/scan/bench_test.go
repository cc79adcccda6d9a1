package scan

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
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
func benchLog(b *testing.B, megabytes int) (r Reader, s Stretch, dir string) {
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
	return Reader{Tools: c.Tools, SegmentSize: 16 << 20, Names: names, Fetch: c.fetch}, s, filepath.Join(c.Data, "pg_wal")
}

// newBenchCluster is a cluster with segments of the usual size.
func newBenchCluster(b *testing.B) *cluster {
	return newClusterOf(b, 16, map[string]string{"synchronous_commit": "off", "max_wal_size": "100GB"})
}

// archived is the log that COMEBACK_WAL_DIR holds: consecutive segments of 16 MB, as
// an archive_command copies them, of one timeline.
func archived(b *testing.B, dir string) (Reader, Stretch) {
	b.Helper()
	tools, err := postgres.FindTools(0)
	if err != nil {
		b.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, strings.Repeat("[0-9A-F]", 24)))
	if err != nil || len(files) == 0 {
		b.Fatalf("no segment is in %s: %v", dir, err)
	}
	var timeline, log, low uint64
	position := func(file string) recovery.LSN {
		if n, err := fmt.Sscanf(filepath.Base(file), "%8X%8X%8X", &timeline, &log, &low); n != 3 {
			b.Fatal(err)
		}
		return recovery.LSN(log<<32 | low<<24)
	}
	s := Stretch{First: position(files[0]), To: position(files[len(files)-1]) + 16<<20}
	return Reader{Tools: tools, SegmentSize: 16 << 20, Timelines: []Timeline{{ID: uint32(timeline)}}, Fetch: func(_ context.Context, name, path string) error {
		return copyFile(filepath.Join(dir, name), path)
	}}, s
}

// BenchmarkReader compares reading a log with one pg_waldump over the same
// segments whose lines awk counts, and measures the processor time that it takes
// and the memory: the most that this process and the programs that it runs held
// at a time.
//
// Without more it writes a log like pgbench's and reads that; COMEBACK_WAL_MB says
// how much. COMEBACK_WAL_DIR has it read an archive that is there, such as one of
// 10 GB, which some sessions write in a few minutes:
//
//	archive_mode = on, archive_command = 'cp %p DIR/%f'
//	insert into t select i, repeat(md5(i::text), 12) from generate_series(1, 400000) i; truncate t; …
//	pgbench -n -c 8 -j 2 -t 100000
//	COMEBACK_WAL_DIR=DIR go test -run '^$' -bench Reader -benchtime 1x ./recovery/pitr/scan
//
// On two cores of a busy machine, with PostgreSQL 15, in 2026:
//
//	168 MB of pgbench's log            pg_waldump 3.3 s   read 0.8 to 0.9 s   3.6 to 4.0 times as fast   130 MB
//	268 MB of inserts by the thousand  pg_waldump 1.9 s   read 0.3 to 0.4 s   4.5 to 7 times             20 MB
//	11.2 GB of both                    pg_waldump 67 s    read 11 s           6.0 times                  184 MB
func BenchmarkReader(b *testing.B) {
	megabytes := 192
	if v := os.Getenv("COMEBACK_WAL_MB"); v != "" {
		fmt.Sscan(v, &megabytes)
	}
	var r Reader
	var s Stretch
	dir := os.Getenv("COMEBACK_WAL_DIR")
	if dir != "" {
		r, s = archived(b, dir)
	} else {
		r, s, dir = benchLog(b, megabytes)
	}
	size := int64(s.To - s.First)
	b.Run("pg_waldump and awk", func(b *testing.B) {
		b.SetBytes(size)
		before, n := processorTime(b), 0
		for b.Loop() {
			plain(b, r.Tools, dir, s)
			n++
		}
		b.ReportMetric((processorTime(b)-before).Seconds()/float64(n), "cpu-s/op")
	})
	for _, by := range []struct {
		name   string
		jobs   int
		byText bool
	}{{"by text, 2 jobs", 2, true}, {"1 job", 1, false}, {"2 jobs", 2, false}} {
		b.Run("Read, "+by.name, func(b *testing.B) {
			b.SetBytes(size)
			r := r
			r.Jobs, r.byText, r.doubts, r.Dir = by.jobs, by.byText, &atomic.Int64{}, b.TempDir()
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
			b.ReportMetric(float64(r.doubts.Load())/float64(loops), "doubts")
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

// watchMemory gives the most memory that this process and its children held
// together, as the kernel counts resident pages.
func watchMemory() func() uint64 {
	runtime.GC()
	debug.FreeOSMemory() // what writing the log took
	var most uint64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, resident())
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
		return most
	}
}

// resident is what this process and its children hold in memory, in bytes.
func resident() (sum uint64) {
	pids := []string{"self"}
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, file := range tasks {
		b, _ := os.ReadFile(file)
		pids = append(pids, strings.Fields(string(b))...)
	}
	for _, pid := range pids {
		// A child that has ended meanwhile holds nothing.
		b, _ := os.ReadFile("/proc/" + pid + "/statm")
		var size, pages uint64
		if n, _ := fmt.Sscan(string(b), &size, &pages); n == 2 {
			sum += pages * uint64(os.Getpagesize())
		}
	}
	return sum
}
