package cnpg

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
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
	v, err := e.delete(ctx, k, deletion{name: of.ID, every: every, looks: lookedFor, volumes: strings.Fields(of.Details[detailVolumes]), may: func(c *cluster) error {
		if !c.ours(&of) {
			return provider.Refused("find out whose it is; delete it by hand if nobody needs it", "it is not deleted: its annotation %s is %s, and not the one that this run has given", markClaim, cmp.Or(c.Metadata.Annotations[markClaim], "not there"))
		}
		return nil
	}})
	if err == nil && len(v.kept) > 0 { // of those that may not be asked about the step that made them has told
		return recovery.Errorf("delete them with kubectl, and what they are of where that does not go with them", "the cluster is gone, and its volumes stay: %s", v.stay())
	}
	return err
}

// deletion is what is deleted, and how.
type deletion struct {
	name  string
	every time.Duration
	// looks is how often it is looked for where it is not there at first.
	looks int
	// volumes are those that it is known to have, or to have had.
	volumes []string
	// may is asked each time.
	may func(*cluster) error
}

// delete deletes a cluster, that very one, and waits until it and its volumes are gone, but
// for those that stay. That nobody answers for a while is survived.
func (e engine) delete(ctx context.Context, k kube, d deletion) (disks, error) {
	seen, looked, silent := false, 0, 0
	v := disks{names: slices.Clone(d.volumes)}
	for {
		c, err := k.find(ctx, d.name)
		switch {
		case err == nil && c == nil:
			if looked++; seen || looked >= d.looks {
				var gone bool
				stopRelay(k, serviceOf(d.name)) // it leads nowhere any more
				if gone, err = k.emptied(ctx, d.name, &v); gone {
					return v, nil
				}
			}
		case err == nil:
			seen = true
			if err := d.may(c); err != nil {
				return v, err
			}
			if err = v.list(ctx, k, d.name); err == nil && c.Metadata.Deletion == nil {
				err = k.remove(ctx, c)
			}
		}
		switch {
		case err == nil:
			silent = 0
		case errors.Is(err, storage.ErrUnavailable) && silent < provider.Unanswered:
			silent++
		default:
			return v, err
		}
		if err := e.Sleep(ctx, d.every); err != nil {
			return v, err
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

// emptied reports whether the volumes of a cluster are gone, which cost until they are: what
// was claimed, and what it was claimed of. What stays is known then.
func (k kube) emptied(ctx context.Context, name string, v *disks) (bool, error) {
	if err := v.list(ctx, k, name); err != nil || v.claimed > 0 {
		return false, err
	}
	if err := v.find(ctx, k, name); err != nil {
		return false, err
	}
	going, err := v.look(ctx, k, name)
	return err == nil && going == 0, err
}

// disks are the PersistentVolumes of a cluster.
type disks struct {
	names []string
	// claimed is how many claims there are.
	claimed int
	// found says that those were looked for that nobody claims any more.
	found bool
	// kept stay when nobody claims them any more, unknown are those about which nobody may be
	// asked.
	kept, unknown []string
}

// list adds those that a cluster has claimed.
func (v *disks) list(ctx context.Context, k kube, cluster string) error {
	all, err := list[claimed](ctx, k, coreAPI, "persistentvolumeclaims", url.Values{"labelSelector": {"cnpg.io/cluster=" + cluster}})
	if err != nil {
		return err
	}
	v.claimed = len(all)
	for _, c := range all {
		v.add(c.Spec.Volume)
	}
	return nil
}

func (v *disks) add(name string) {
	if name != "" && !slices.Contains(v.names, name) {
		v.names = append(v.names, name)
	}
}

// find adds those that a cluster had claimed, once: an earlier attempt may have deleted the
// claims. Where they may not be listed, it is those that are known.
func (v *disks) find(ctx context.Context, k kube, cluster string) error {
	if v.found {
		return nil
	}
	all, err := listAt[volume](ctx, k, coreAPI+"/persistentvolumes", "persistentvolumes", nil)
	if err != nil && !errors.Is(err, storage.ErrDenied) {
		return err
	}
	v.found = true
	for _, found := range all {
		if k.claims(cluster, found) {
			v.add(found.Metadata.Name)
		}
	}
	return nil
}

// claims reports whether a volume's claim is one that the operator makes for a cluster: for an
// instance, by its number, of its data, its log or a tablespace.
func (k kube) claims(cluster string, v volume) bool {
	rest, of := strings.CutPrefix(v.Spec.Claim.Name, cluster+"-")
	number, part, more := strings.Cut(rest, "-")
	_, err := strconv.ParseUint(number, 10, 32)
	return of && err == nil && v.Spec.Claim.Namespace == k.Namespace && (!more || part == "wal" || strings.HasPrefix(part, "tbs-"))
}

// look tells which of them stay; going are those that go by themselves. What is claimed for
// something else by now is not the cluster's any more.
func (v *disks) look(ctx context.Context, k kube, cluster string) (going int, err error) {
	v.kept, v.unknown = nil, nil
	for _, name := range v.names {
		b, err := k.ask(ctx, call{verb: "get", resource: "persistentvolumes", path: coreAPI + "/persistentvolumes/" + url.PathEscape(name)})
		var found volume
		if err == nil {
			err = k.decode(b, "persistentvolumes", &found)
		}
		switch {
		case errors.Is(err, errAbsent):
		case errors.Is(err, storage.ErrDenied):
			v.unknown = append(v.unknown, name)
		case err != nil:
			return going, err
		case !k.claims(cluster, found):
		case found.Spec.Policy == "Delete" && found.Status.Phase != "Failed":
			going++
		default:
			v.kept = append(v.kept, name)
		}
	}
	return going, nil
}

// stay are those that stay, in words.
func (v *disks) stay() string {
	return fmt.Sprintf("%s, each with its disk, which costs as before", strings.Join(v.kept, ", "))
}

// says are what a reader should know of volumes that may outlive their cluster.
func (v *disks) says() (all []string) {
	if len(v.kept) > 0 {
		all = append(all, "volumes that stay: "+v.stay()+"; delete them with kubectl, and their disks where these do not go with them")
	}
	if len(v.unknown) > 0 {
		all = append(all, fmt.Sprintf("whether the volumes %s stay is not known: whoever asks may not get persistentvolumes", strings.Join(v.unknown, ", ")))
	}
	return all
}
