// Package cnpg is the engine for PostgreSQL that CloudNativePG runs in Kubernetes: the
// moments are those of its Backup resources and of the archived log behind them, and what is
// restored is a new Cluster in the namespace of the source, made like it.
//
//	database:
//	  kind: postgres
//	  with: cnpg
//	  context: production          # of the kubeconfig; never the current one
//	  namespace: shop
//	  cluster: shop-db
//	  into: hand-over
//
// It is asked through kubectl, which people on call have, with the sign-in programs that
// their kubeconfig names: a `kubectl proxy` beside each step signs in and carries requests of
// the API, by a socket that nobody else can open, so that no manifest and no secret is ever
// an argument. The operator keeps the backups, so that they lie in no copy.
//
// A restore creates a Cluster with what of the source's spec makes a server (image, storage,
// resources, parameters, where it may run), its secrets for the roles, and one instance.
// Whatever the package does not know as harmless is left out and told: above all the backup
// section and the plugins, so that nothing is written into the source's archive, further
// services, inherited labels, by which traffic could come to it, libraries that may act by
// themselves, and values of the environment that are written out, which would be recorded.
// The steps are: create it, wait until the operator calls it healthy, sign on through its
// service. Whatever a killed run has created is found again by its name and its annotation,
// and never created twice.
//
// Checks reach it through `kubectl port-forward` of the service for writes. The password is
// read from its secret into memory; what the run binds is a socket in a private directory
// behind which this process signs on, so that no password is in an address, a file, an
// argument or the journal.
//
// The package promises that nothing is deleted but what carries the claim of the run, and
// that very one, by its UID; that a claim is given back only when the cluster and its volumes
// are gone; and that every call is answered or told: a denied one by the verb and the resource
// that it needs. It needs, in the namespace,
//
//	get, create, delete  clusters.postgresql.cnpg.io
//	list                 backups.postgresql.cnpg.io, scheduledbackups.postgresql.cnpg.io
//	list                 pods, events, persistentvolumeclaims, jobs.batch
//	get                  services, pods, pods/log, secrets
//	create               pods/portforward
//
// and for all namespaces
//
//	get, list            persistentvolumes
//
// because the volumes of a class that retains them stay, and cost, when their cluster is gone.
// Where that is not allowed, a run says that it does not know. A claim is not given back while
// they stay, however often that is tried; what of them is known is kept with the claim, for
// those who may not list them.
//
// How far the archive reaches is not told by Kubernetes. While archiving works everything is
// in it that is older than archive_timeout; newer moments are refused with the time at which
// they can be gone to. `latest` replays all that the archive has, and where that ends is not
// known. Backups from before the source was made are those of an
// earlier cluster with its name: what the new one tells of its data and its archive is not
// held against them.
//
// A rehearsal deletes what it has made. A recovery leaves it running and gives people its
// address; nothing live is written to. It archives nothing until people give it a backup
// section, which the run asks them for. `comeback expire` deletes it where nobody is connected;
// where people may come as postgres it asks as postgres, which tells them from the operator.
package cnpg
