package tui

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestHistogram draws one with each of its marks.
func TestHistogram(t *testing.T) {
	from := ten.Add(-time.Hour)
	draw := func(g histogram, h int) string {
		var got []string
		for _, l := range g.lines(h) {
			text, _ := l.draw(theme{ascii: g.ascii}, 40)
			got = append(got, strings.TrimRight(text, " "))
		}
		return strings.Join(got, "\n")
	}
	g := histogram{perSecond: []float64{0, 0, 0.5, 1, 5, 50, 500, 5, 0, 0, 0, 1, 1, 0, 0, 0}, from: from, to: ten, read: from.Add(8 * time.Minute),
		harms: []time.Time{from.Add(24 * time.Minute)}, at: from.Add(32 * time.Minute)}
	for name, test := range map[string]struct {
		change func(*histogram)
		h      int
		want   string
	}{
		"a line for each power of ten": {nil, 4, `
   >100       !
     10      ▆█ |
      1    ▁▆██▆|  ▁▁
    0.1 ??▆█████|  ██
rows/s  09:00   ^  10:00`},
		"two powers a line, in ASCII": {func(g *histogram) { g.ascii = true }, 2, `
    >10      .!
    0.1 ??..::::|  ..
rows/s  09:00   ^  10:00`},
		"nothing known": {func(g *histogram) {
			*g = histogram{perSecond: make([]float64, 16), from: from, to: ten, read: ten.Add(1)}
		}, 2, `
    >10
      1 ????????????????
rows/s  09:00      10:00`},
	} {
		t.Run(name, func(t *testing.T) {
			g := g
			if test.change != nil {
				test.change(&g)
			}
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), draw(g, test.h)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestActivity_LosesNothing counts more stretches than are kept apart.
func TestActivity_LosesNothing(t *testing.T) {
	var a activity
	const n = 3 * activityKept
	start := time.Unix(1_700_000_000, 0)
	for i := range n {
		a.add(start.Add(time.Duration(i)*time.Second), 7)
	}
	if len(a.buckets) > activityKept {
		t.Errorf("%d stretches are kept", len(a.buckets))
	}
	end := start.Add(n * time.Second)
	for _, columns := range []int{1, 72, 1000} {
		sum := 0.0
		from, to := start.Add(-time.Hour), end.Add(time.Hour)
		for _, v := range a.columns(from, to, columns) {
			sum += v * to.Sub(from).Seconds() / float64(columns)
		}
		if math.Abs(sum-7*n) > 1 {
			t.Errorf("%d columns show %.1f rows of %d", columns, sum, 7*n)
		}
	}
}
