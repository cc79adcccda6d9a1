package tui

import "time"

// activityKept bounds how many stretches of time are counted apart.
const activityKept = 16_384

// activity counts rows by time, in stretches of equal width, which grows as
// there are more of them.
type activity struct {
	width   int64 // seconds
	buckets map[int64]int64
}

// add counts the rows of a commit; one without rows counts as one.
func (a *activity) add(t time.Time, rows int64) {
	if a.buckets == nil {
		a.width, a.buckets = 1, map[int64]int64{}
	}
	a.buckets[floor(t.Unix(), a.width)] += max(1, rows)
	for len(a.buckets) > activityKept {
		wider := make(map[int64]int64, len(a.buckets)/2+1)
		for at, rows := range a.buckets {
			wider[floor(at, 2)] += rows
		}
		a.width, a.buckets = 2*a.width, wider
	}
}

func floor(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}

// columns spreads the counts of a span over n columns, in rows per second.
func (a *activity) columns(from, to time.Time, n int) []float64 {
	out := make([]float64, n)
	step := to.Sub(from).Seconds() / float64(n)
	if n == 0 || step <= 0 {
		return out
	}
	start := float64(from.UnixNano()) / 1e9
	for at, rows := range a.buckets {
		// A stretch is shared out among the columns that it covers.
		begin := (float64(at*a.width) - start) / step
		end := (float64((at+1)*a.width) - start) / step
		first, last := max(0, int(begin)), min(n-1, int(end))
		if end <= 0 || begin >= float64(n) {
			continue
		}
		for i := first; i <= last; i++ {
			part := min(end, float64(i+1)) - max(begin, float64(i))
			if part > 0 {
				out[i] += float64(rows) * part / (end - begin)
			}
		}
	}
	for i := range out {
		out[i] /= step
	}
	return out
}
