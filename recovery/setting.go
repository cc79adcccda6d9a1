package recovery

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// OneOf checks a setting that is one of a few words. The errors of such checks go on
// after the setting: "`into: elsewhere` is none of database, cluster".
func OneOf(words ...string) func(value string) error {
	return func(value string) error {
		if slices.Contains(words, value) {
			return nil
		}
		return Errorf("write one of: "+strings.Join(words, ", "), "is none of %s", strings.Join(words, ", ")).WithExit(Usage)
	}
}

// Number checks a setting that is a whole number between two others.
func Number(from, to int) func(value string) error {
	return func(value string) error {
		if n, err := strconv.Atoi(value); err == nil && n >= from && n <= to {
			return nil
		}
		span := fmt.Sprintf("from %d to %d", from, to)
		if to == math.MaxInt {
			span = fmt.Sprintf("of %d or more", from)
		}
		return Errorf("write a number "+span, "is no number %s", span).WithExit(Usage)
	}
}
