package cnpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/provider"
	"comeback/storage"
)

// readyKind waits until the operator has restored the cluster. It may be repeated.
type readyKind struct{ engine }

func (readyKind) Name() string              { return "cnpg.ready" }
func (readyKind) Restart() recovery.Restart { return recovery.Repeat }

// stuck are the phases that do not end by themselves, and what to do about them.
var stuck = map[string]string{
	"Cluster is unrecoverable and needs manual intervention":                                  "look at it with `kubectl cnpg status`; retry makes a new one",
	"Invalid cluster definition":                                                              "correct the source or the component by what it says, then make a new plan",
	"Unable to create required cluster objects":                                               "look at its events with kubectl, correct what they say, then retry",
	"Cluster has incomplete or invalid image catalog":                                         "correct the image catalog of the source, then retry",
	"Waiting for user action":                                                                 "look at it with `kubectl cnpg status`, then retry",
	"Cluster cannot proceed to reconciliation due to an unknown plugin being required":        "install the plugin that keeps the backups, then retry",
	"Cluster cannot proceed to reconciliation due to an error while interacting with plugins": "look at the plugin's log, then retry",
}

// looks is how often the same trouble is seen before it is an error: the operator and
// Kubernetes try again by themselves.
const looks = 12

func (k readyKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer p.close()
	begun := env.Now()
	told := map[string]bool{}
	phase, last, seen, silent := "", "", 0, 0
	for {
		c, err := p.find(ctx, p.name())
		var t trouble
		if err == nil && c != nil && c.Status.Phase != healthy {
			t, err = p.trouble(ctx, c, env.Meter(), told)
		}
		switch {
		case err != nil && errors.Is(err, storage.ErrUnavailable) && silent < provider.Unanswered:
			silent++
			env.Meter().Note(err.Error())
		case err != nil:
			return recovery.Outcome{}, err
		case c == nil:
			return recovery.Outcome{}, recovery.Errorf("find out who deleted it; retry the restore", "the cluster %s is not there any more", p.name())
		case c.Status.Phase == healthy && c.Status.Ready > 0:
			env.Meter().Set(min(int64(c.Status.Ready), int64(p.Facts.Shape.Instances)))
			o := p.ready(c, env.Now().Sub(begun))
			o.Remarks, err = p.outliving(ctx, env)
			return o, err
		default:
			silent = 0
			if at := cmp.Or(c.Status.Phase, "waiting for the operator"); at != phase {
				phase = at
				env.Meter().Phase(phase, int64(p.Facts.Shape.Instances), recovery.InItems)
				env.Meter().Log(strings.TrimSpace(fmt.Sprintf("%s: %s %s", p.name(), phase, c.Status.Reason)))
			}
			env.Meter().Set(min(int64(c.Status.Ready), int64(p.Facts.Shape.Instances)))
			if t.says != last {
				last, seen = t.says, 0
			}
			if seen++; t.says != "" {
				env.Meter().Note(t.says)
				if t.final || seen >= looks {
					return recovery.Outcome{}, recovery.Errorf(t.hint, "the cluster %s does not come up: %s", p.name(), t.says)
				}
			}
		}
		if err := k.Sleep(ctx, time.Duration(p.Every)); err != nil {
			return recovery.Outcome{}, err
		}
	}
}

// ready is what has come up.
func (p place) ready(c *cluster, took time.Duration) recovery.Outcome {
	o := recovery.Outcome{Says: fmt.Sprintf("the cluster %s is healthy, after %s", p.name(), recovery.FormatSpan(took)),
		Facts: map[string]string{"uid": c.Metadata.UID, "primary": c.Status.Primary, "timeline": fmt.Sprint(c.Status.Timeline), "instances": fmt.Sprintf("%d of %d ready", c.Status.Ready, p.Facts.Shape.Instances)}}
	for name, v := range map[string]string{"image": c.Status.Image, recovery.SystemIdentifier: c.Status.SystemID} {
		if v != "" {
			o.Facts[name] = v
		}
	}
	return o
}

// outliving tells of volumes that do not go with the cluster, or may not. That it is not
// known is no fault of the cluster.
func (p place) outliving(ctx context.Context, env recovery.Env) ([]string, error) {
	var v disks
	err := v.list(ctx, p.kube, p.name())
	if err == nil {
		if err := p.remember(ctx, env, v.names); err != nil {
			return nil, err
		}
		_, err = v.look(ctx, p.kube, p.name())
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return []string{"whether its volumes stay is not known: " + err.Error()}, nil
	}
	return v.says(), nil
}

// remember records with the claim which volumes there are: once nobody claims them any more,
// not everybody may find them.
func (p place) remember(ctx context.Context, env recovery.Env, volumes []string) error {
	claim := provider.Held(env, Cluster, p.name())
	if claim == nil || len(volumes) == 0 {
		return nil
	}
	r := *claim
	r.Details = maps.Clone(r.Details)
	r.Details[detailVolumes] = strings.Join(volumes, " ")
	return env.Claim(ctx, r)
}

// trouble is why a cluster does not come up, in one sentence.
type trouble struct {
	says, hint string
	// final says that nobody tries again.
	final bool
}

// labelled are the resources that the operator has made for the cluster.
func (p place) labelled() url.Values {
	return url.Values{"labelSelector": {"cnpg.io/cluster=" + p.name()}}
}

// trouble looks at what the operator has made, and logs what Kubernetes tells of it, each
// once.
func (p place) trouble(ctx context.Context, c *cluster, meter recovery.Meter, told map[string]bool) (trouble, error) {
	warned, since, err := p.events(ctx, meter, told)
	if err != nil {
		return trouble{}, err
	}
	if hint, is := stuck[c.Status.Phase]; is {
		return trouble{says: strings.TrimSuffix(c.Status.Phase+": "+c.Status.Reason, ": "), hint: hint, final: true}, nil
	}
	pods, err := list[pod](ctx, p.kube, coreAPI, "pods", p.labelled())
	if err != nil {
		return trouble{}, err
	}
	if over, err := p.over(ctx, c); err != nil || over != "" {
		if words := p.lastWords(ctx, pods); words != "" {
			over += ": " + words
		}
		return trouble{says: over, hint: hintOf(over, "read the log of its pod; retry makes a new cluster"), final: true}, err
	}
	goesOn := false
	for _, pod := range pods {
		if t, is := ofPod(pod); is {
			return t, nil
		}
		goesOn = goesOn || pod.Status.Phase == "Running" || pod.Status.Phase == "Pending"
	}
	for i, pod := range pods {
		if pod.Status.Phase == "Failed" && !goesOn { // else another one has taken its work over
			words := cmp.Or(p.lastWords(ctx, pods[i:i+1]), "its pod "+pod.Metadata.Name+" has failed")
			return trouble{says: words, hint: hintOf(words, "read the log of its pod, then retry")}, nil
		}
	}
	volumes, err := list[claimed](ctx, p.kube, coreAPI, "persistentvolumeclaims", p.labelled())
	if err != nil {
		return trouble{}, err
	}
	for _, v := range volumes {
		if w := warned[v.Metadata.Name]; v.Status.Phase == "Pending" && w != "" {
			return trouble{says: "its volume " + v.Metadata.Name + " is not made: " + w, hint: "let the storage class make it, then retry: it goes on with the same cluster"}, nil
		}
	}
	for object, w := range warned {
		if strings.Contains(w, "exceeded quota") && !since[object] {
			return trouble{says: w, hint: "have the quota of the namespace raised, or remove what nobody needs, then retry: it goes on with the same cluster"}, nil
		}
	}
	return trouble{}, nil
}

// waits are the reasons why a container waits, and what to do about them.
var waits = map[string]string{
	"ErrImagePull":               "let the nodes pull the image, then retry: it goes on with the same cluster",
	"ImagePullBackOff":           "let the nodes pull the image, then retry: it goes on with the same cluster",
	"InvalidImageName":           "correct the image of the source, then make a new plan",
	"CreateContainerConfigError": "make the secret or the config map that it names in the namespace, then retry: it goes on with the same cluster",
	"CreateContainerError":       "look at its events with kubectl, then retry",
}

// ofPod is why a pod does not run.
func ofPod(p pod) (trouble, bool) {
	for _, c := range slices.Concat(p.Status.Init, p.Status.Containers) {
		if w := c.State.Waiting; w != nil && waits[w.Reason] != "" {
			return trouble{says: strings.TrimSuffix(fmt.Sprintf("the pod %s waits, %s: %s", p.Metadata.Name, w.Reason, w.Message), ": "), hint: waits[w.Reason]}, true
		}
	}
	if s := is(p.Status.Conditions, "PodScheduled"); s != nil && s.Status == "False" {
		return trouble{says: fmt.Sprintf("the pod %s finds no node: %s", p.Metadata.Name, s.Message), hint: "make room for it, then retry: it goes on with the same cluster"}, true
	}
	return trouble{}, false
}

// events logs what is new of the cluster and what belongs to it, and gives the last warning
// of each, and whether anything but a warning has come of it since.
func (p place) events(ctx context.Context, meter recovery.Meter, told map[string]bool) (warned map[string]string, since map[string]bool, err error) {
	all, err := list[event](ctx, p.kube, coreAPI, "events", nil)
	if err != nil {
		return nil, nil, err
	}
	slices.SortStableFunc(all, func(a, b event) int { return a.Last.Compare(b.Last) })
	warned, since = map[string]string{}, map[string]bool{}
	for _, e := range all {
		if e.Object.Name != p.name() && !strings.HasPrefix(e.Object.Name, p.name()+"-") {
			continue
		}
		if since[e.Object.Name] = e.Type != "Warning"; !since[e.Object.Name] {
			warned[e.Object.Name] = e.Message
		}
		line := fmt.Sprintf("%s %s: %s: %s", e.Object.Kind, e.Object.Name, e.Reason, e.Message)
		if !told[line] {
			told[line] = true
			meter.Log(line)
			meter.Note(e.Message)
		}
	}
	return warned, since, nil
}
