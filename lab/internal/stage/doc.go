// Package stage owns what a demonstration looks like: on a terminal, lines of
// story above a picture that is drawn anew several times a second; elsewhere,
// plain lines without escape codes. It knows nothing of clusters: it is told
// names, roles and counts.
package stage
