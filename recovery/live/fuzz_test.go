package live_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"comeback/recovery/live"
)

// A list of names is read as PostgreSQL stores it, or refused.
func FuzzSplitNames(f *testing.F) {
	for _, list := range []string{`"$user", public`, `""`, ``, `a,b`, `"a""b" , c`, `"open`, `a,`, `,`} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		names, err := live.SplitNames(list)
		if err != nil {
			return
		}
		var parts []string
		for _, name := range names {
			parts = append(parts, `"`+strings.ReplaceAll(name, `"`, `""`)+`"`)
		}
		again, err := live.SplitNames(strings.Join(parts, ", "))
		if err != nil || strings.Join(again, "\x00") != strings.Join(names, "\x00") {
			t.Errorf("%q is %q, and read again %q (%v)", list, names, again, err)
		}
	})
}

// What is written into a connection string is what is read from it.
func FuzzConninfo(f *testing.F) {
	for _, value := range []string{"shop", "it's", `back\slash`, "", "a=b c", "\n"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		all, err := live.Settings("host='x' dbname=" + live.Quote(value) + " port=5432")
		if err != nil || all["dbname"] != value || all["host"] != "x" || all["port"] != "5432" {
			t.Errorf("%q is read as %q (%v)", value, all, err)
		}
	})
}

// A name that is derived is one that PostgreSQL keeps whole, and two stay two.
func FuzzDerived(f *testing.F) {
	f.Add("shop", "shop2")
	f.Add(strings.Repeat("ü", 31), strings.Repeat("ü", 30)+"x")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 63 || len(b) > 63 || !utf8.ValidString(a) || !utf8.ValidString(b) {
			return
		}
		x, y := live.Derived(a, "_cb_7c31"), live.Derived(b, "_cb_7c31")
		if len(x) > 63 || !utf8.ValidString(x) || !strings.HasSuffix(x, "_cb_7c31") || a != b && x == y && len(a) <= 55 && len(b) <= 55 {
			t.Errorf("%q and %q become %q and %q", a, b, x, y)
		}
	})
}
