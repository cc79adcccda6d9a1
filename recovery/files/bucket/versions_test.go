package bucket

import (
	"fmt"
	"slices"
	"strings"
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

// Keys that no tree can hold are told, each with why; of many the first and how many.
func TestFit(t *testing.T) {
	long := strings.Repeat("x", 256)
	keys := []string{"up/" + long, "up/../a", "up/./a", "up//a", "up/a", "up/a/b", "up/a/" + long, "up/b", "up/c/"}
	f := fit{of: args{Facts: facts{Prefix: "up/"}}}
	var u unfit
	var fits []string
	for _, k := range keys {
		if why := f.why(k); why != "" {
			u.add(why)
		} else {
			fits = append(fits, k)
		}
	}
	if !slices.Equal(fits, []string{"up/a", "up/b"}) || u.n != 7 || len(u.exceptions()) != 7 || !strings.Contains(u.first[5], "no file's name") || !strings.Contains(u.first[4], `lies below "up/a"`) {
		t.Errorf("%q fit; %q", fits, u.first)
	}
	for i := range 100 {
		u.add(fmt.Sprint(i))
	}
	if says := u.exceptions(); len(says) != maxLeftOut+1 || says[maxLeftOut] != "left out: and 87 keys more" || !strings.HasPrefix(u.warning(), "107 objects") {
		t.Errorf("%q; %s", says, u.warning())
	}
}
