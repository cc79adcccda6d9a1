package files

import (
	"slices"
	"testing"
)

// Keys that lie below another one are found in their order, whatever stands between.
func TestNested(t *testing.T) {
	keys := []string{"a", "a-b", "a/b", "a/b/c", "a0", "b/c", "b/c.d", "b/c/d", "b/d"}
	if !slices.IsSorted(keys) {
		t.Fatal("not in the order of a listing")
	}
	var n nested
	var found []string
	for _, k := range keys {
		if in, ok := n.below(k); ok {
			found = append(found, in+"<"+k)
		}
	}
	if want := []string{"a<a/b", "a<a/b/c", "b/c<b/c/d"}; !slices.Equal(found, want) {
		t.Errorf("%q, want %q", found, want)
	}
}
