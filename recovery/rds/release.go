package rds

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"comeback/recovery"
	"comeback/recovery/provider"
	"comeback/storage"
)

// What a run makes in RDS; the IDs are identifiers of the service. Their details say
// whose they are and where.
const (
	Instance recovery.ResourceKind = "RDS instance"
	Cluster  recovery.ResourceKind = "RDS cluster"
)

// claim is what is recorded before something is asked for: the tag that nothing else
// carries.
func (p place) claim(kind recovery.ResourceKind, name string) recovery.Resource {
	r := recovery.Resource{Kind: kind, ID: name, Details: p.Facts.Account.details()}
	r.Details["claim"], r.Details["run"], r.Details["every"] = rand.Text(), p.run, time.Duration(p.Every).String()
	return r
}

// Releaser deletes what a run has made, for good and without a last snapshot: it is a
// copy of what the service has. What does not carry the claim's tag is not deleted.
type Releaser struct {
	Options
	// Of is Instance or Cluster.
	Of recovery.ResourceKind
}

func (r Releaser) Resource() recovery.ResourceKind { return r.Of }

// Release deletes it and returns when the service no longer knows it. It may be
// repeated.
func (r Releaser) Release(ctx context.Context, of recovery.Resource) error {
	e := engine{r.Filled()}
	if of.Kind != r.Of || of.Details["claim"] == "" {
		return recovery.Errorf("delete it by hand, in the console of RDS", "release the %s %s: it is not recorded whose it is", of.Kind, of.ID)
	}
	s, err := accountIn(of.Details).open(ctx, e.Expand)
	if err == nil {
		err = e.release(ctx, s, of)
	}
	if err != nil {
		return fmt.Errorf("release the %s %s: %w", of.Kind, of.ID, err)
	}
	return nil
}

// looks is how often what the service does not know is looked for before it counts as not
// made: whoever asked for it may have got no answer, and the service may carry it out a
// little later.
const looks = 5

// release deletes what is the run's, and waits until it is gone.
func (e engine) release(ctx context.Context, s service, of recovery.Resource) error {
	every, err := time.ParseDuration(of.Details["every"])
	if err != nil {
		every = pause
	}
	return e.delete(ctx, s, deletion{kind: of.Kind, id: of.ID, every: every, looks: looks, may: func(m *made) error {
		switch live := tagged(m.tags, tagLive); {
		case live != "":
			return provider.Refused("look what was written to it, then delete it by hand", "it is not deleted: it was live for a while, as %s, and people may have written to it", live)
		case !m.ours(&of):
			return provider.Refused("find out whose it is; delete it by hand if nobody needs it", "it is not deleted: its tag %s is %s, and not the one that this run has given", tagClaim, cmp.Or(tagged(m.tags, tagClaim), "not there"))
		}
		return nil
	}})
}

// deletion is what is deleted, and how.
type deletion struct {
	kind  recovery.ResourceKind
	id    string
	every time.Duration
	// last names the last snapshot, with which the automated backups stay; without a name
	// neither is kept.
	last string
	// looks is how often it is looked for, where the service does not know it at first.
	looks int
	// may is asked each time.
	may func(*made) error
}

// delete deletes something, and waits until the service no longer knows it. That it does not
// answer for a while is survived.
func (e engine) delete(ctx context.Context, s service, d deletion) error {
	seen, looked, refusals, silent := false, 0, 0, 0
	for {
		m, err := s.find(ctx, d.kind, d.id)
		switch {
		case err == nil && m == nil:
			if looked++; seen || looked >= d.looks {
				return nil
			}
		case err == nil:
			seen = true
			if err := d.may(m); err != nil {
				return err
			}
			if m.status == deleting {
				break
			}
			if _, stays := stuck[m.status]; stays || m.status == available {
				refusals++
			}
			err = d.ask(ctx, s, m, refusals > 3)
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

// ask asks for the deletion. While something is being made or changed it cannot be deleted
// yet, which is an error where it should be able to by now.
func (d deletion) ask(ctx context.Context, s service, m *made, now bool) (err error) {
	action, without := "DeleteDBInstance", aws.Bool(d.last == "")
	if d.kind == Cluster {
		action = "DeleteDBCluster"
		_, err = s.DeleteDBCluster(ctx, &rds.DeleteDBClusterInput{DBClusterIdentifier: &d.id, SkipFinalSnapshot: without, FinalDBSnapshotIdentifier: text(d.last), DeleteAutomatedBackups: without})
	} else {
		in := &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &d.id, SkipFinalSnapshot: without, FinalDBSnapshotIdentifier: text(d.last)}
		if m.cluster == "" { // else its backups are the cluster's
			in.DeleteAutomatedBackups = without
		}
		_, err = s.DeleteDBInstance(ctx, in)
	}
	if c := code(err); absent(err) || !now && (c == wrongInstanceNow || c == wrongClusterNow) {
		return nil
	}
	return s.refusal(ctx, action, d.id, err)
}
