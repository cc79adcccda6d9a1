package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// growing are the kinds of work that are measured at one, two, four and eight
// times the size: the time per MB must stay, and so must the memory.
func growing() []row {
	return []row{
		{name: "growth-plain", prepare: dumped("shop", "plain", theShop), ours: restoreDump},
		{name: "growth-table", prepare: dumped("table", "plain", streamed(oneTable, oneTableRows, 95)), ours: restoreDump},
		{name: "growth-custom", prepare: dumped("shop", "custom", theShop), ours: restoreDump},
		{name: "growth-snapshot", prepare: trees, ours: restoreTree},
	}
}

// setTimes reads the flag of that name.
func (b *bench) setTimes(list string) error {
	b.times = nil
	for _, times := range strings.Split(list, ",") {
		n, err := strconv.Atoi(times)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is not a whole number above 0", times)
		}
		b.times = append(b.times, n)
	}
	return nil
}

// growth measures what was asked for by name: it takes long.
func (b *bench) growth(ctx context.Context, names string, write bool) error {
	size := b.size
	defer func() { b.size = size }()
	for _, r := range growing() {
		if !slices.Contains(strings.Split(names, ","), r.name) {
			continue
		}
		fmt.Println(growthHeading)
		for _, times := range b.times {
			b.size = times * size
			line, err := b.grown(ctx, r, times, size)
			if err != nil {
				return fmt.Errorf("%s, %d MB: %w", r.name, b.size, err)
			}
			fmt.Println(line)
			if write && b.pairs > 0 {
				if err := record(filepath.Join(b.root, "BENCHMARKS.md"), growthHeading, fmt.Sprintf("%s ×%d", r.name, times), line); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// grown measures one size: the median of the times, the most of the memory.
func (b *bench) grown(ctx context.Context, r row, times, size int) (string, error) {
	defer b.stop()
	if err := r.prepare(ctx, b); err != nil {
		return "", err
	}
	if b.pairs == 0 {
		return fmt.Sprintf("| %s ×%d | its data are there |", r.name, times), nil
	}
	load := loadAverage()
	var wall []float64
	var peak int64
	for range b.pairs {
		t, err := r.ours(ctx, b)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(os.Stderr, "%s: %d MB in %.2f s, %d MB of memory; load %s\n", r.name, b.size, t.wall.Seconds(), t.peak/1_000_000, loadAverage())
		wall, peak = append(wall, t.wall.Seconds()), max(peak, t.peak)
	}
	return fmt.Sprintf("| %s ×%d | %d MB | %.2f s | %.2f s | %d MB | runs: %d, load %s before | `make bench ROW=%s SIZE=%d` |",
		r.name, times, b.size, median(wall), median(wall)*1000/float64(b.size), peak/1_000_000, b.pairs, load, r.name, size), nil
}
