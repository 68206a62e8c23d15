// Package traffic owns the requests of a lab: the client that sends them at an
// even pace and accounts for every one, and the responder that answers with its
// name. Both run in processes of their own and speak JSON lines.
//
// The accounts are pure: a Ledger is told what was sent and what came back, and
// says who answered, what was lost, and how long the client went without an
// answer. It knows nothing of clusters.
package traffic
