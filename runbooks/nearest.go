package runbooks

import "strings"

// nearest finds the candidate that word was probably meant to be: the one with
// the fewest typing mistakes, at most one in three letters.
func nearest(word string, candidates []string) (string, bool) {
	best, found := "", false
	limit := max(1, len(word)/3)
	for _, c := range candidates {
		d := distance(strings.ToLower(word), strings.ToLower(c), limit)
		if d <= limit && (d < limit || !found) {
			best, found, limit = c, true, d
		}
	}
	return best, found
}

// distance counts the letters to add, drop, replace or swap with their
// neighbour to make b from a. Beyond limit it is only known to be greater.
func distance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) > limit || len(y)-len(x) > limit {
		return limit + 1
	}
	before, last := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row := make([]int, len(y)+1)
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}
