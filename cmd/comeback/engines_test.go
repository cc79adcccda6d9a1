package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/cnpg"
	"comeback/recovery/commands"
	"comeback/recovery/rds"
	"comeback/recovery/rescue"
	"comeback/runbooks"
)

// Whatever the engines and switchers may claim is given back by somebody, and by one
// alone.
func TestReleasers(t *testing.T) {
	found := map[recovery.ResourceKind]int{}
	for _, r := range releasers(time.Now, func(text string) (string, error) { return text, nil }) {
		found[r.Resource()]++
	}
	for _, kind := range []recovery.ResourceKind{recovery.Cluster, commands.Instance, rds.Instance, rds.Cluster, cnpg.Cluster, recovery.Exchanged, rescue.Rescued} {
		if found[kind] == 0 {
			t.Errorf("nobody gives back a claim of the kind %q", kind)
		}
	}
	for kind, n := range found {
		if n > 1 {
			t.Errorf("%d give back claims of the kind %q", n, kind)
		}
	}
}

// What a component's settings say is read when the runbook is, so that every mistake in it
// is told at once, and none waits for the night in which it matters.
func TestVocabulary_values(t *testing.T) {
	const book = "---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nneeds: {DATABASE_URL: x}\ncopies:\n  nearby: {url: \"file:///nearby\"}\ncomponents:\n  it: {%s}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: it\n```\n"
	for settings, wrong := range map[string][]string{
		`kind: postgres, url: "${DATABASE_URL}", keep: 30d, retain: [14 daily, 8 weekly], quorum: 2, incremental: 6, record: no, dump_jobs: 4, dump_format: directory, backup: [dump, base], timeline: latest, into: cluster`: nil,
		`kind: postgres, url: "${DATABASE_URL}", keep: 30 days, retain: [14 days, 8 weekly], quorum: none, incremental: some, record: maybe, dump_jobs: 65, dump_format: tar, backup: [dump, weekly], timeline: one, into: replace`: {
			"`keep: 30 days` is not a duration", "`retain: 14 days` does not say how many", "`quorum: none` is no number", "`incremental: some` is no number from 0 to 1000",
			"`record: maybe` is none of yes, no", "`dump_jobs: 65` is no number from 1 to 64", "`dump_format: tar` is none of custom, directory",
			"`backup: weekly` is none of", "`timeline: one` is no timeline", "`into: replace` is none of"},
		`kind: postgres, with: dump, url: "${DATABASE_URL}", backup: base`:                             {"`backup: base` is none of dump, none"},
		`kind: postgres, with: rds, instance: shop, region: eu-central-1, every: soon, into: database`: {"`every: soon` is no time", "`into: database` is none of hand-over, rename"},
		`kind: postgres, with: cnpg, context: a, namespace: b, cluster: c, instances: 0, into: rename`: {"`instances: 0` is no number of 1 or more", "`into: rename` is none of hand-over"},
		`kind: postgres, with: wal-g, concurrency: 0`:                                                  {"`concurrency: 0` is no number from 1"},
		`kind: postgres, with: pgbackrest, stanza: shop, processes: many`:                              {"`processes: many` is no number from 1 to 999"},
		`kind: files, path: /srv/uploads, keep: soon, backup: bundle, retain: [always]`:                {"`keep: soon` is not", "`backup: bundle` is none of snapshot, none", "`retain: always`"},
		`kind: files, with: bucket, prefix: uploads/, versioned_since: "2026-01-31"`:                   {"`versioned_since: 2026-01-31` is not a time"},
	} {
		_, problems := parse("shop.md", fmt.Appendf(nil, book, settings))
		var found []string
		for _, p := range problems {
			if p.Severity == runbooks.Error {
				found = append(found, p.Says)
				if p.Do == "" || p.Line != 10 {
					t.Errorf("line %d: %s; %q", p.Line, p.Says, p.Do)
				}
			}
		}
		if len(found) != len(wrong) {
			t.Errorf("%s: found %q", settings, found)
			continue
		}
		for _, w := range wrong {
			if !strings.Contains(strings.Join(found, "\n"), w) {
				t.Errorf("%s: %q is not among %q", settings, w, found)
			}
		}
	}
}
