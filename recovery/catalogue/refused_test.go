package catalogue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/storage"
)

// A copy that cannot be reached is told once, whatever was looked for in it; what is refused in
// a copy that can be reached is told once for each reason.
func TestCatalogue_Refused(t *testing.T) {
	refused := func(copy, component, engine, words string, kind error, object string) catalogue.Refusal {
		err := error(&storage.Error{Op: "list", Object: object, Kind: kind, Says: "so it says"})
		if words != "" {
			err = fmt.Errorf("%s: %w", words, err)
		}
		return catalogue.Refusal{Copy: copy, Component: component, Engine: engine, Err: catalogue.Explain(err, copy)}
	}
	cat := catalogue.Catalogue{Refusals: []catalogue.Refusal{
		refused("far", "database", "dump", "look whose backups it holds", storage.ErrUnavailable, "s3://far"),
		refused("far", "database", "pitr", "", storage.ErrUnavailable, "s3://far/wal"),
		refused("far", "uploads", "files", "", storage.ErrUnavailable, "s3://far/uploads"),
		refused("nearby", "database", "dump", "read the list", storage.ErrDenied, "file:///dumps"),
		refused("nearby", "database", "pitr", "", storage.ErrDenied, "file:///wal"),
		refused("nearby", "uploads", "files", "", storage.ErrDenied, "file:///wal"),
	}}
	var says []string
	for _, r := range cat.Refused() {
		says = append(says, fmt.Sprintf("%s of %s by %s, whole %v: %v", r.Copy, strings.Join(r.Components, ","), strings.Join(r.Engines, ","), r.Whole, r.Err))
		if recovery.HintOf(r.Err) == "" {
			t.Errorf("%s says nothing to do", r.Copy)
		}
	}
	want := []string{
		"far of database,uploads by dump,pitr,files, whole true: list s3://far: unavailable: so it says",
		"nearby of database by dump, whole false: read the list: list file:///dumps: access denied: so it says",
		"nearby of database,uploads by pitr,files, whole false: list file:///wal: access denied: so it says",
	}
	if !slices.Equal(says, want) {
		t.Errorf("it says\n%s", strings.Join(says, "\n"))
	}
	// The error that nothing can be restored tells all of it, and all that there is to do.
	nothing := cat.Empty("database")
	for _, text := range []string{"far: list s3://far: unavailable", "nearby: list file:///dumps", "nearby: list file:///wal"} {
		if strings.Count(nothing.Error(), text) != 1 {
			t.Errorf("%q does not tell %s once", nothing, text)
		}
	}
	if left := catalogue.Beside(cat.Refused(), nothing); len(left) > 0 {
		t.Errorf("beside %q, %q there is %+v", nothing, recovery.HintOf(nothing), left)
	}
	if left := catalogue.Beside(cat.Refused(), recovery.Errorf("wait", "another")); len(left) != 3 {
		t.Errorf("beside another error there is %+v", left)
	}
}

// A profile that the host does not have is made there: the runbook is right, and lies perhaps in
// the very copy.
func TestExplain_noProfile(t *testing.T) {
	err := catalogue.Explain(&storage.Error{Op: "open", Object: "s3://far", Kind: storage.ErrConfig, Says: "so it says", Err: storage.NoProfile{Name: "backups"}}, "far")
	if hint := recovery.HintOf(err); hint != "make it here, with keys that may read the copy far: aws configure --profile backups" {
		t.Errorf("%v; next %q", err, hint)
	}
}
