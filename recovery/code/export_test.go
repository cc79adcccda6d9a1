package code

import (
	"context"

	"comeback/recovery"
)

// Proof holds a checkout that lies in a place against a commit.
func Proof(ctx context.Context, env recovery.Env, place, commit string) (filtered []string, err error) {
	g, err := newGit(env, place, "")
	if err != nil {
		return nil, err
	}
	_, filtered, err = g.proof(ctx, commit)
	return filtered, err
}
