package bucket

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/storage"
)

// What was current at a moment is not known where the versions of that time do not tell it.
func TestHistory_doubt(t *testing.T) {
	moment := time.Date(2026, 4, 10, 0, 0, 0, 0, time.UTC)
	of := func(day int, how ...func(*storage.Version)) storage.Version {
		v := storage.Version{Object: storage.Object{Key: "a", Version: fmt.Sprint(day), Modified: moment.AddDate(0, 0, day)}}
		for _, h := range how {
			h(&v)
		}
		return v
	}
	tied := func(v *storage.Version) { v.Tied = true }
	deleted := func(v *storage.Version) { v.Deleted = true }
	newest := func(v *storage.Version) { v.Latest = true }
	unversioned := func(v *storage.Version) { v.Unversioned = true }
	for name, c := range map[string]struct {
		versions history
		doubt    string
	}{
		"one version":                           {history{of(-1, newest)}, ""},
		"deleted since":                         {history{of(1, newest, deleted), of(-1)}, ""},
		"stored and deleted within a second":    {history{of(1, newest), of(-1, tied), of(-1, tied, deleted)}, "within one second"},
		"of which the newest is told":           {history{of(-1, newest, tied), of(-1, tied, deleted)}, ""},
		"within a second of before the version": {history{of(1, newest), of(-1), of(-2, tied), of(-2, tied, deleted)}, ""},
		"within a second of after the moment":   {history{of(1, tied, newest), of(1, tied, deleted), of(-1)}, ""},
		"written since without versions":        {history{of(2, newest), of(1, unversioned), of(-1)}, "2026-04-11T00:00:00Z, while"},
		"deleted since without versions":        {history{of(1, newest, unversioned, deleted), of(-1)}, "while"},
		"of before, and from without versions":  {history{of(1, newest), of(-1, unversioned), of(-2)}, ""},
		"nothing of before it":                  {history{of(1, newest)}, ""},
	} {
		if why := c.versions.doubt(moment); (why == "") != (c.doubt == "") || !strings.Contains(why, c.doubt) {
			t.Errorf("%s: %q", name, why)
		}
	}
}

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
	if !slices.Equal(fits, []string{"up/a", "up/b"}) || u.N != 7 || len(u.exceptions()) != 7 || !strings.Contains(u.First[5], "no file's name") || !strings.Contains(u.First[4], `lies below "up/a"`) {
		t.Errorf("%q fit; %q", fits, u.First)
	}
	for i := range 100 {
		u.add(fmt.Sprint(i))
	}
	if says := u.exceptions(); len(says) != maxNamed+1 || says[maxNamed] != "left out: and 87 keys more" || !strings.HasPrefix(u.warning(), "107 objects") {
		t.Errorf("%q; %s", says, u.warning())
	}
}
