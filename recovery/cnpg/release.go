package cnpg

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"comeback/recovery"
	"comeback/recovery/provider"
	"comeback/storage"
)

// Releaser deletes what a run has made, for good: it is a copy of what the operator has. What
// does not carry the claim's mark is not deleted.
type Releaser struct{ Options }

func (Releaser) Resource() recovery.ResourceKind { return Cluster }

// Release deletes it and returns when it and its volumes are gone. It may be repeated.
func (r Releaser) Release(ctx context.Context, of recovery.Resource) error {
	e := engine{r.Filled()}
	if of.Kind != Cluster || of.Details["claim"] == "" {
		return recovery.Errorf("delete it by hand, with kubectl", "release the %s %s: it is not recorded whose it is", of.Kind, of.ID)
	}
	k, err := accessIn(of.Details).open(ctx, e.Expand)
	if err == nil {
		defer k.close()
		err = e.release(ctx, k, of)
	}
	if err != nil {
		return fmt.Errorf("release the %s %s: %w", of.Kind, of.ID, err)
	}
	return nil
}

// lookedFor is how often what is not there is looked for before it counts as not made:
// whoever asked for it may have got no answer, and it may be made a little later.
const lookedFor = 3

func (e engine) release(ctx context.Context, k kube, of recovery.Resource) error {
	every, err := time.ParseDuration(of.Details["every"])
	if err != nil {
		every = pause
	}
	return e.delete(ctx, k, deletion{name: of.ID, every: every, looks: lookedFor, may: func(c *cluster) error {
		if !c.ours(&of) {
			return provider.Refused("find out whose it is; delete it by hand if nobody needs it", "it is not deleted: its annotation %s is %s, and not the one that this run has given", markClaim, cmp.Or(c.Metadata.Annotations[markClaim], "not there"))
		}
		return nil
	}})
}

// deletion is what is deleted, and how.
type deletion struct {
	name  string
	every time.Duration
	// looks is how often it is looked for where it is not there at first.
	looks int
	// may is asked each time.
	may func(*cluster) error
}

// delete deletes a cluster, that very one, and waits until it and its volumes are gone. That
// nobody answers for a while is survived.
func (e engine) delete(ctx context.Context, k kube, d deletion) error {
	seen, looked, silent := false, 0, 0
	for {
		c, err := k.find(ctx, d.name)
		switch {
		case err == nil && c == nil:
			if looked++; seen || looked >= d.looks {
				var gone bool
				stopRelay(k, serviceOf(d.name)) // it leads nowhere any more
				if gone, err = k.emptied(ctx, d.name); gone {
					return nil
				}
			}
		case err == nil:
			seen = true
			if err := d.may(c); err != nil {
				return err
			}
			if c.Metadata.Deletion == nil {
				err = k.remove(ctx, c)
			}
		}
		switch {
		case err == nil:
			silent = 0
		case errors.Is(err, storage.ErrUnavailable) && silent < provider.Unanswered:
			silent++
		default:
			return err
		}
		if err := e.Sleep(ctx, d.every); err != nil {
			return err
		}
	}
}

// remove asks for the deletion of the very cluster that was looked at.
func (k kube) remove(ctx context.Context, c *cluster) error {
	body, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background", "preconditions": map[string]string{"uid": c.Metadata.UID}})
	if err != nil {
		return err
	}
	_, err = k.ask(ctx, call{verb: "delete", resource: "clusters.postgresql.cnpg.io", path: k.in(cnpgAPI, "clusters", c.Metadata.Name), body: body})
	if errors.Is(err, errAbsent) || errors.Is(err, errChange) {
		return nil // it is looked at again
	}
	return err
}

// emptied reports whether the volumes of a cluster are gone, which cost until they are.
func (k kube) emptied(ctx context.Context, name string) (bool, error) {
	all, err := list[claimed](ctx, k, coreAPI, "persistentvolumeclaims", url.Values{"labelSelector": {"cnpg.io/cluster=" + name}})
	return err == nil && len(all) == 0, err
}
