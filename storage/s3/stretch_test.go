package s3_test

import (
	"cmp"
	"fmt"
	"html"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"comeback/storage"
	"comeback/storage/s3"
)

// versionLister answers as ListObjectVersions is documented.
type versionLister struct {
	all  []keptVersion // in the order of their keys
	page int           // how many it gives at most
	// inclusive says that a list begins at its marker and not behind it, where no version
	// is asked for, as that of some services does.
	inclusive bool
	// names says whether it names a directory, where somebody asks for those.
	names func(dir string) bool
	// hold is called with each request that is under way.
	hold func(r *http.Request)

	mu    sync.Mutex
	asked []url.Values
}

type keptVersion struct{ key, id string }

func (l *versionLister) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	l.mu.Lock()
	l.asked = append(l.asked, q)
	l.mu.Unlock()
	if l.hold != nil {
		l.hold(r)
	}
	most, err := strconv.Atoi(q.Get("max-keys"))
	if err != nil || most < 1 || most > 1000 {
		http.Error(w, "max-keys", http.StatusBadRequest)
		return
	}
	most = min(most, l.page)
	from := 0
	if marker, id := q.Get("key-marker"), q.Get("version-id-marker"); marker != "" {
		from, _ = slices.BinarySearchFunc(l.all, marker, func(v keptVersion, key string) int { return cmp.Compare(v.key, key) })
		for from < len(l.all) && l.all[from].key == marker && (id != "" || !l.inclusive) {
			from++
			if id != "" && l.all[from-1].id == id {
				break
			}
		}
	}
	var list strings.Builder
	given, dir := 0, ""
	var last keptVersion
	more := false
	for _, v := range l.all[from:] {
		rest, ok := strings.CutPrefix(v.key, q.Get("prefix"))
		if !ok {
			continue
		}
		if in, _, found := strings.Cut(rest, "/"); found && q.Get("delimiter") == "/" {
			if put := q.Get("prefix") + in + "/"; put != dir && put > q.Get("key-marker") {
				if given == most {
					more = true
					break
				}
				dir, last = put, keptVersion{key: put}
				given++
				if l.names == nil || l.names(dir) {
					fmt.Fprintf(&list, `<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>`, url.QueryEscape(dir))
				}
			}
			continue
		}
		if given == most {
			more = true
			break
		}
		given++
		last = v
		fmt.Fprintf(&list, `<Version><Key>%s</Key><VersionId>%s</VersionId><IsLatest>%v</IsLatest><Size>1</Size><ETag>"e"</ETag><LastModified>2026-11-29T23:20:%sZ</LastModified></Version>`,
			url.QueryEscape(v.key), v.id, v.id == "59", v.id)
	}
	fmt.Fprintf(w, `<ListVersionsResult><Name>backups</Name><EncodingType>url</EncodingType><IsTruncated>%v</IsTruncated>`, more)
	if more {
		fmt.Fprintf(w, `<NextKeyMarker>%s</NextKeyMarker><NextVersionIdMarker>%s</NextVersionIdMarker>`, html.EscapeString(url.QueryEscape(last.key)), last.id)
	}
	fmt.Fprint(w, list.String(), `</ListVersionsResult>`)
}

// got is what a store lists of it.
func (l *versionLister) got(t *testing.T, prefix string) []keptVersion {
	t.Helper()
	s := at(t, serve(t, l.ServeHTTP), s3.Options{})
	versions, ok := storage.As[storage.Versioner](s)
	if !ok {
		t.Fatal("the store keeps no versions")
	}
	var got []keptVersion
	for v, err := range versions.Versions(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, keptVersion{v.Key, v.Version})
	}
	return got
}

// keys makes keys of every shape: directories of one object and of many, within each
// other, objects beside them and in their place, letters of all lengths.
func keys(r *rand.Rand, many int) []keptVersion {
	names := []string{"a", "b", "b.txt", "b0", "2026", "2026-11", "uploads", "日", "日本", "é", "z", "~"}
	var all []keptVersion
	seen := map[string]bool{}
	add := func(key string) {
		if seen[key] {
			return
		}
		seen[key] = true
		for n := 59; n >= 59-r.IntN(1+r.IntN(4)); n-- {
			all = append(all, keptVersion{key, strconv.Itoa(n)})
		}
	}
	for len(all) < many {
		dir := ""
		for range r.IntN(4) {
			dir += names[r.IntN(len(names))] + "/"
		}
		if dir != "" && r.IntN(20) == 0 {
			add(dir)
		}
		for range 1 + r.IntN(1+r.IntN(60)) {
			add(fmt.Sprintf("%s%s%d", dir, names[r.IntN(len(names))], r.IntN(1000)))
		}
	}
	slices.SortStableFunc(all, func(a, b keptVersion) int { return cmp.Compare(a.key, b.key) })
	return all
}

// TestVersions_Stretches lists many keys in pages of few: all come, each version once and
// in order, whatever the service makes of markers and names of directories.
func TestVersions_Stretches(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		l := &versionLister{all: keys(r, 20+r.IntN(3000)), page: 3 + r.IntN(60), inclusive: seed%2 == 1}
		switch seed % 5 {
		case 3:
			l.names = func(dir string) bool { return len(dir)%3 == 0 }
		case 4:
			l.names = func(string) bool { return false }
		}
		prefix := []string{"", "", "uploads/", "b", "2026-", "日", "nothing"}[r.IntN(7)]
		var want []keptVersion
		for _, v := range l.all {
			if strings.HasPrefix(v.key, prefix) {
				want = append(want, v)
			}
		}
		if got := l.got(t, prefix); !slices.Equal(got, want) {
			at := 0
			for at < min(len(got), len(want)) && got[at] == want[at] {
				at++
			}
			t.Fatalf("seed %d, %q in pages of %d: %d versions, not %d; from the %dth on %q, not %q", seed, prefix, l.page, len(got), len(want), at, got[at:min(at+3, len(got))], want[at:min(at+3, len(want))])
		}
		if seed%5 < 3 {
			if most := 3*len(want)/l.page + 60; len(l.asked) > most {
				t.Errorf("seed %d: %d requests for %d versions in pages of %d", seed, len(l.asked), len(want), l.page)
			}
		}
	}
}

// TestVersions_SideBySide lists even directories: pages of several stretches are asked for
// at a time, and few more than there are.
func TestVersions_SideBySide(t *testing.T) {
	l := &versionLister{page: 10}
	for n := range 4000 {
		l.all = append(l.all, keptVersion{fmt.Sprintf("%03d/object-%04d", n/20, n), "59"})
	}
	var underWay atomic.Int32
	two := make(chan struct{})
	l.hold = func(r *http.Request) {
		if q := r.URL.Query(); q.Get("delimiter") != "" || q.Get("key-marker") == "" {
			return
		}
		if underWay.Add(1) == 2 {
			close(two)
		}
		select { // the page behind the first does not come alone
		case <-two:
		case <-r.Context().Done():
		}
	}
	s := at(t, serve(t, l.ServeHTTP), s3.Options{})
	versions, _ := storage.As[storage.Versioner](s)
	n := 0
	for v, err := range versions.Versions(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if v.Key != l.all[n].key {
			t.Fatalf("%s comes as the %dth, not %s", v.Key, n, l.all[n].key)
		}
		n++
	}
	if n != len(l.all) {
		t.Errorf("%d versions, not %d", n, len(l.all))
	}
	if most := 400 * 5 / 4; len(l.asked) > most {
		t.Errorf("%d requests for 400 pages, at most %d were expected", len(l.asked), most)
	}
}

// TestVersions_Requests counts what is asked for lists of every shape: little more than their
// pages.
func TestVersions_Requests(t *testing.T) {
	for name, c := range map[string]struct{ dirs, each, last int }{
		"a directory for each":              {6000, 1, 0},
		"three in each":                     {2000, 3, 0},
		"more directories than are asked":   {4000, 9, 0},
		"even":                              {300, 70, 0},
		"large ones":                        {40, 500, 0},
		"small ones, and a large flat last": {100, 9, 10000},
		"one flat":                          {0, 0, 10000},
	} {
		l := &versionLister{page: 100}
		for n := range c.dirs {
			for m := range c.each {
				l.all = append(l.all, keptVersion{fmt.Sprintf("%05d/object-%04d", n, m), "59"})
			}
		}
		for n := range c.last {
			l.all = append(l.all, keptVersion{fmt.Sprintf("today/object-%06d", n), "59"})
		}
		if got := l.got(t, ""); !slices.Equal(got, l.all) {
			t.Errorf("%s: %d versions, not %d", name, len(got), len(l.all))
		}
		pages := (len(l.all) + l.page - 1) / l.page
		hints := 0
		for _, q := range l.asked {
			if q.Get("delimiter") != "" {
				hints++
			}
		}
		if t.Logf("%s: %d requests for %d pages, %d of them for names", name, len(l.asked), pages, hints); len(l.asked) > pages*13/10+12 {
			t.Errorf("%s: %d requests for %d pages, %d of them for names", name, len(l.asked), pages, hints)
		}
	}
}

// TestVersions_SideBySide_fails ends a list at a stretch that cannot be listed, and at one
// whose caller has gone.
func TestVersions_SideBySide_fails(t *testing.T) {
	l := &versionLister{page: 10}
	for n := range 2000 {
		l.all = append(l.all, keptVersion{fmt.Sprintf("%03d/object-%04d", n/20, n), "59"})
	}
	s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if marker := r.URL.Query().Get("key-marker"); marker > "050/" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>no</Message></Error>`)
			return
		}
		l.ServeHTTP(w, r)
	}), s3.Options{})
	versions, _ := storage.As[storage.Versioner](s)
	n, failed := 0, error(nil)
	for v, err := range versions.Versions(t.Context(), "") {
		if failed != nil {
			t.Fatalf("%v, and then %v, %v", failed, v, err)
		}
		if failed = err; err == nil {
			if v.Key != l.all[n].key {
				t.Fatalf("%s comes as the %dth, not %s", v.Key, n, l.all[n].key)
			}
			n++
		}
	}
	if failed == nil || n == 0 || n >= 1200 {
		t.Errorf("%d versions, then %v", n, failed)
	}
	n = 0
	for _, err := range versions.Versions(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 15 {
			break
		}
	}
}
