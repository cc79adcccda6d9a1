package execute_test

import (
	"context"
	"slices"
	"testing"

	"comeback/recovery"
	"comeback/recovery/execute"
)

// needing is a kind whose steps resolve two references.
type needing struct{ recovery.Kind }

func (needing) Name() string { return "restore" }
func (needing) Needs(recovery.Step) ([]string, error) {
	return []string{"${KEY}", "${SET} ${TOKEN}"}, nil
}

// releasing gives back what names a secret beside another.
type releasing struct{}

func (releasing) Resource() recovery.ResourceKind                  { return "server" }
func (releasing) Release(context.Context, recovery.Resource) error { return nil }
func (releasing) Expands(r recovery.Resource) []string             { return []string{r.Details["address"]} }

// What a run needs is told before it begins, goes on, or gives back: a rehearsal asks nothing
// that is live, and so needs nothing that leads there.
func TestSecrets_needs(t *testing.T) {
	t.Parallel()
	secrets := execute.NewSecrets(func(name string) (string, bool) { return "value", name == "SET" }, nil)
	p := &recovery.Plan{Steps: []recovery.Step{
		recovery.NewStep("1", "restore", "restore it", nil),
		recovery.NewStep("2", recovery.KindShell, "run: it", recovery.ShellArgs{Env: []string{"SET", "PAGER"}}),
		recovery.NewStep("3", recovery.KindHTTPCheck, "check: it", recovery.HTTPCheckArgs{URL: "${APP_URL}/health?${PAGER}"}),
		recovery.NewStep("4", "another", "something else", nil),
	}, Copies: []recovery.Copy{{URL: "s3://${BUCKET}/${SET}", Account: "${ACCOUNT}"}}, Components: []recovery.Component{{Settings: recovery.Settings{"url": {"${DATABASE_URL}"}, "admin": {"${ADMIN_URL}", "${BUCKET}"}}}}}
	kinds := []recovery.Kind{needing{}}
	restores := []execute.Unset{{Name: "KEY", For: "restore it"}, {Name: "TOKEN", For: "restore it"}}
	for mode, want := range map[recovery.Mode][]execute.Unset{recovery.Rehearsal: restores, recovery.Recovery: append(slices.Clone(restores), execute.Unset{Name: "PAGER", For: "run: it"}, execute.Unset{Name: "APP_URL", For: "check: it"})} {
		p.Mode = mode
		if got, err := secrets.Unset(p, kinds); err != nil || !slices.Equal(got, want) {
			t.Errorf("to begin a %s: %v, %v", mode, got, err)
		}
	}
	for mode, want := range map[recovery.Mode][]string{recovery.Rehearsal: {"BUCKET", "ACCOUNT"}, recovery.Recovery: {"BUCKET", "ACCOUNT", "ADMIN_URL", "DATABASE_URL"}} {
		p.Mode = mode
		if got := secrets.ToGoOn(p); !slices.Equal(got, want) {
			t.Errorf("to go on with a %s: %v", mode, got)
		}
	}
	claims := []recovery.Resource{{Kind: "server", Details: map[string]string{"address": "${ADMIN_URL}", "by": "${NEVER}"}}, {Kind: "tree", Details: map[string]string{"by": "${KEY} ${ADMIN_URL}"}}}
	if got := secrets.ToRelease(claims, []recovery.Releaser{releasing{}}); !slices.Equal(got, []string{"ADMIN_URL", "KEY"}) {
		t.Errorf("to give back: %v", got)
	}
}
