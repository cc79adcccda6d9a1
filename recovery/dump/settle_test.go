package dump_test

import (
	"context"
	"strings"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
)

// Statistics that cannot be gathered, as those of an expression that divides by a row's
// zero, are an exception: the rows are all there.
func TestSettle_StatisticsThatFail(t *testing.T) {
	if source.Cluster().Tools.Major < 14 {
		return // it has no statistics of expressions
	}
	begin := "SELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.divided (a integer, b integer, c integer);\nCREATE TABLE public.other (a integer);\n"
	script := plainDump("15.1", begin, "CREATE STATISTICS public.s ON ((a / b)), c FROM public.divided;", "COPY public.divided (a, b, c) FROM stdin;\n1\t0\t1\n2\t1\t2\n\\.\n", "COPY public.other (a) FROM stdin;\n1\n\\.\n")
	var analyzed string
	o := newest(t, enginetest.Options{}, directory(t, map[string][]byte{"a.sql": script}))
	o.Probe = func(ctx context.Context, env recovery.Env) error {
		b, _ := env.Binding(component.Name)
		analyzed = ask(t, b.URL, "select string_agg(relname || ' ' || (last_analyze is not null), ',' order by relname) from pg_stat_user_tables")
		return nil
	}
	end := enginetest.Restore(t, o)
	says, hint := enginetest.Failure(end)
	if end.Result != recovery.ResultExceptions || !strings.Contains(strings.Join(step(t, end, "settle").Outcome.Exceptions, "\n"), "statistics of public.divided could not be gathered: division by zero") {
		t.Errorf("the run ended as %s: %s (%s), settled with %q", end.Result, says, hint, step(t, end, "settle").Outcome.Exceptions)
	}
	if analyzed != "divided false,other true" {
		t.Errorf("statistics: %s", analyzed)
	}
}
