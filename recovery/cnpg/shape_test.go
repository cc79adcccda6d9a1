package cnpg

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestBehind(t *testing.T) {
	for set, want := range map[string]time.Duration{"": 5 * time.Minute, "300": 5 * time.Minute, "90s": 90 * time.Second, "5min": 5 * time.Minute, " 1.5 h": 90 * time.Minute, "2d": 48 * time.Hour, "1500 ms": 1500 * time.Millisecond,
		"0": 0, "-1": 0, "5m": 0, "often": 0, "min": 0} {
		spec := map[string]any{"postgresql": map[string]any{"parameters": map[string]any{"archive_timeout": set}}}
		if got := behind(spec); got != want {
			t.Errorf("archive_timeout %q is read as %s, want %s", set, got, want)
		}
	}
}

// Only libraries that are known to do nothing by themselves are loaded again.
func TestShape_libraries(t *testing.T) {
	for name, test := range map[string]struct{ has, kept, left []any }{
		"known":   {[]any{"pgaudit", "$libdir/auto_explain"}, []any{"pgaudit", "auto_explain"}, nil},
		"unknown": {[]any{"pglogical", "passwordcheck", "pg_net"}, []any{"passwordcheck"}, []any{"pglogical", "pg_net"}},
		"none":    {[]any{"pg_cron"}, nil, []any{"pg_cron"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := shapeOf("shop-db", map[string]any{"postgresql": map[string]any{"shared_preload_libraries": test.has}})
			own := at(s.Spec, "postgresql")
			got, there := own["shared_preload_libraries"].([]any)
			var left []string
			for _, l := range test.left {
				left = append(left, fmt.Sprint("postgresql.shared_preload_libraries ", l))
			}
			if !slices.Equal(got, test.kept) || there != (test.kept != nil) || !slices.Equal(s.Left, left) {
				t.Errorf("it has %q and lacks %q", got, s.Left)
			}
			if at(own, "parameters")["timescaledb.max_background_workers"] != nil {
				t.Error("a library that is not there has a parameter")
			}
		})
	}
}
