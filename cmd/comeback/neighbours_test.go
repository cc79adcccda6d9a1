package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
)

// Two systems have a component of the same name in one copy. What one of them has taken is
// none of the other's: it is neither restored for it nor makes its check green, and where
// its backups would lie among them it is told what to do.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	ctx, shop, r := t.Context(), pictures(t), newRig(t)
	text, err := os.ReadFile(shop)
	if err != nil {
		t.Fatal(err)
	}
	blog := filepath.Join(filepath.Dir(shop), "blog.md")
	tree := filepath.Join(filepath.Dir(shop), "posts")
	write := func(old ...string) {
		t.Helper()
		old = append(old, "system: shop", "system: blog", "/tree", "/posts")
		if err := os.WriteFile(blog, []byte(strings.NewReplacer(old...).Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	if err := errors.Join(os.Mkdir(tree, 0o700), os.WriteFile(filepath.Join(tree, "post.txt"), []byte("a post"), 0o600)); err != nil {
		t.Fatal(err)
	}
	r.run(ctx, "backup", shop).has(t, recovery.CameBack)
	r.run(ctx, "moments", blog).has(t, recovery.Failed, "no copy holds a backup of uploads", "what nearby holds of the system shop is not this one's", "`formerly: [shop]`")
	if got := r.run(ctx, "check", blog, "--no-canary"); !strings.Contains(got.out, "NONE") || strings.Contains(strings.Join(strings.Fields(got.out), " "), "nearby ok") {
		t.Errorf("the check of the blog: exit %d\n%s%s", got.code, got.out, got.err)
	}
	r.run(ctx, "backup", blog).has(t, recovery.Failed, "backups of the system shop lie in", "`prefix: blog/uploads/`")
	write("system: shop", "system: staging\nformerly: [shop]")
	r.run(ctx, "moments", blog).has(t, recovery.CameBack, " uploads/snapshots/")
	if got := r.run(ctx, "check", blog, "--no-canary"); strings.Contains(got.out, "NONE") {
		t.Errorf("the check of staging: exit %d\n%s%s", got.code, got.out, got.err)
	}
	write(`prefix: "uploads/"`, "prefix: blog/uploads/")
	taken := r.run(ctx, "backup", blog)
	taken.has(t, recovery.CameBack, "blog/uploads/snapshots/")
	if got := r.run(ctx, "moments", shop); got.code != recovery.CameBack || strings.Contains(got.out, "blog/uploads") || !strings.Contains(got.out, " uploads/snapshots/") {
		t.Errorf("the moments of the shop: exit %d\n%s%s", got.code, got.out, got.err)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(filepath.Dir(shop), "nearby", "uploads"))); err != nil {
		t.Fatal(err)
	}
	r.run(ctx, "moments", shop).has(t, recovery.Failed, "no copy holds a backup of uploads")
	r.run(ctx, "rehearse", shop, "--plain", "--to", "latest").has(t, recovery.Failed, "no copy holds a backup of uploads")
	if got := r.run(ctx, "check", shop, "--no-canary"); !strings.Contains(got.out, "NONE") {
		t.Errorf("the check of the shop: exit %d\n%s%s", got.code, got.out, got.err)
	}
}
