// Command bench measures comeback against what people would use instead: the
// same data, the same machine, one run after the other in pairs, and the results
// held against each other. `make bench` runs it.
//
//	go run ./bench [-row NAME,…] [-size MB] [-times N,…] [-pairs N] [-dir DIR] [-write]
//
// With -write the rows that ran replace their lines in BENCHMARKS.md. A row whose
// results differ fails: a fast wrong answer is no answer.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// row is one line of the table.
type row struct {
	name, work, peer string
	// goal is the most that our median may be of the peer's.
	goal float64
	// far says that its store is far away, so that waiting, and not the processors, bounds
	// it.
	far bool
	// prepare makes what the pairs work on, once.
	prepare func(context.Context, *bench) error
	// ours and theirs do the work once and give how long it took. They fail
	// where what came out is not what went in.
	ours, theirs func(context.Context, *bench) (took, error)
}

// took is one measurement.
type took struct {
	wall time.Duration
	// busy is how much processor time it took.
	busy time.Duration
	// chain is how long the longest chain of statements took that waited for each other;
	// 0 where nothing tells.
	chain time.Duration
	// peak is the most memory in bytes that comeback's process held.
	peak int64
}

// bench is what the rows share.
type bench struct {
	dir   string // where the data lie
	size  int    // MB of a plain dump
	times []int  // of the size, for the rows that show growth
	pairs int
	root  string // of the source tree
	// data is what a row has prepared.
	data dataset
	tree *tree
	// stops end what a row has started.
	stops []func()
}

func (b *bench) stopLater(stop func()) { b.stops = append(b.stops, stop) }

// stop ends what a row has started, the last first.
func (b *bench) stop() {
	for _, stop := range slices.Backward(b.stops) {
		stop()
	}
	b.stops = nil
}

func main() {
	names := flag.String("row", "", "the rows to run, with commas between; all if it is missing")
	b := &bench{times: []int{1, 2, 4, 8}}
	flag.Func("times", "at how many times the size growth is measured, with commas between (default 1,2,4,8)", b.setTimes)
	flag.IntVar(&b.size, "size", 1000, "how many MB a plain dump has")
	flag.IntVar(&b.pairs, "pairs", 3, "how many pairs of runs the medians are of; none makes the data only")
	flag.StringVar(&b.dir, "dir", "/var/tmp/comeback-bench", "where the data lie; dumps stay there for the next time")
	write := flag.Bool("write", false, "put the lines into BENCHMARKS.md")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx, *names, *write); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, names string, write bool) error {
	var err error
	if b.root, err = os.Getwd(); err != nil {
		return err
	}
	if err := os.MkdirAll(b.dir, 0o711); err != nil {
		return err
	}
	alone, err := os.Open(b.dir)
	if err != nil {
		return err
	}
	defer alone.Close()
	if err := unix.Flock(int(alone.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another bench is at work in %s: %w", b.dir, err)
	}
	if err := b.build(ctx); err != nil {
		return err
	}
	defer joinGroup()()
	fmt.Println(heading)
	for _, r := range rows() {
		if names != "" && !slices.Contains(strings.Split(names, ","), r.name) {
			continue
		}
		line, err := b.measure(ctx, r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		fmt.Println(line)
		if write && b.pairs > 0 {
			if err := record(filepath.Join(b.root, "BENCHMARKS.md"), heading, r.name, line); err != nil {
				return err
			}
		}
	}
	return b.growth(ctx, names, write)
}

// measure runs a row's pairs and gives its line.
func (b *bench) measure(ctx context.Context, r row) (string, error) {
	defer b.stop()
	if err := r.prepare(ctx, b); err != nil {
		return "", err
	}
	if b.pairs == 0 {
		return fmt.Sprintf("| %s | its data are there |", r.name), nil
	}
	load := loadAverage()
	var ours, theirs, ratios, bounds []float64
	var busy []float64
	for pair := range b.pairs {
		one, two := r.ours, r.theirs
		if pair%2 == 1 { // whoever is second finds warmer caches
			one, two = two, one
		}
		first, err := one(ctx, b)
		if err != nil {
			return "", err
		}
		second, err := two(ctx, b)
		if err != nil {
			return "", err
		}
		if pair%2 == 1 {
			first, second = second, first
		}
		fmt.Fprintf(os.Stderr, "%s: %.2f s against %.2f s; processors %.1f s, %.1f s; load %s\n", r.name,
			first.wall.Seconds(), second.wall.Seconds(), first.busy.Seconds(), second.busy.Seconds(), loadAverage())
		ours, theirs = append(ours, first.wall.Seconds()), append(theirs, second.wall.Seconds())
		ratios = append(ratios, first.wall.Seconds()/second.wall.Seconds())
		busy = append(busy, first.busy.Seconds(), second.busy.Seconds())
		if least := max(first.busy.Seconds()/float64(runtime.NumCPU()), first.chain.Seconds()); first.busy > 0 && !r.far {
			bounds = append(bounds, first.wall.Seconds()/least)
		}
	}
	reached := "yes"
	if median(ratios) > r.goal {
		reached = "no"
	}
	var oursBusy, theirsBusy []float64
	for i := 0; i < len(busy); i += 2 {
		oursBusy, theirsBusy = append(oursBusy, busy[i]), append(theirsBusy, busy[i+1])
	}
	// What the processors did, spread evenly over them, is the least that it can take, or
	// the longest chain of statements that waited for each other.
	bound := "-" // where nothing tells what they did
	if len(bounds) > 0 {
		bound = fmt.Sprintf("%.2f", median(bounds))
	}
	return fmt.Sprintf("| %s | %s | %.2f s (%.1f s of processors) | %s: %.2f s (%.1f s) | %.2f | %.2f | %s | %s | %d MB, %d pairs, load %s before | `make bench ROW=%s SIZE=%d` |",
		r.name, r.work, median(ours), median(oursBusy), r.peer, median(theirs), median(theirsBusy), median(ratios), r.goal, reached, bound, b.size, b.pairs, load, r.name, b.size), nil
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}
