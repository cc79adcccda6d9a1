package rds

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"comeback/recovery"
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
	e := engine{r.filled()}
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

// release deletes what is the run's, and waits until it is gone.
func (e engine) release(ctx context.Context, s service, of recovery.Resource) error {
	every, err := time.ParseDuration(of.Details["every"])
	if err != nil {
		every = pause
	}
	return e.delete(ctx, s, of.Kind, of.ID, every, "", func(m *made) error {
		switch live := tagged(m.tags, tagLive); {
		case live != "":
			return refused("look what was written to it, then delete it by hand", "it is not deleted: it was live for a while, as %s, and people may have written to it", live)
		case !m.ours(&of):
			return refused("find out whose it is; delete it by hand if nobody needs it", "it is not deleted: its tag %s is %s, and not the one that this run has given", tagClaim, cmp.Or(tagged(m.tags, tagClaim), "not there"))
		}
		return nil
	})
}

// delete deletes what may is asked about each time, and waits until the service no longer
// knows it. With the name of a last snapshot that is taken, and the automated backups stay.
func (e engine) delete(ctx context.Context, s service, kind recovery.ResourceKind, id string, every time.Duration, last string, may func(*made) error) error {
	for refusals := 0; ; {
		m, err := s.find(ctx, kind, id)
		if m == nil || err != nil {
			return err
		}
		if err := may(m); err != nil {
			return err
		}
		if m.status != deleting {
			action := "DeleteDBInstance"
			if kind == Cluster {
				action = "DeleteDBCluster"
				_, err = s.DeleteDBCluster(ctx, &rds.DeleteDBClusterInput{DBClusterIdentifier: &id, SkipFinalSnapshot: aws.Bool(last == ""), FinalDBSnapshotIdentifier: text(last), DeleteAutomatedBackups: aws.Bool(last == "")})
			} else {
				in := &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &id, SkipFinalSnapshot: aws.Bool(last == ""), FinalDBSnapshotIdentifier: text(last)}
				if m.cluster == "" { // else its backups are the cluster's
					in.DeleteAutomatedBackups = aws.Bool(last == "")
				}
				_, err = s.DeleteDBInstance(ctx, in)
			}
			if _, stays := stuck[m.status]; stays || m.status == available {
				refusals++
			}
			// While it is being made or changed it cannot be deleted yet.
			if c := code(err); err != nil && !absent(err) && (c != wrongInstanceNow && c != wrongClusterNow || refusals > 3) {
				return s.refusal(ctx, action, id, err)
			}
		}
		if err := e.Sleep(ctx, every); err != nil {
			return err
		}
	}
}
