// Package httptask makes HTTP requests as tasks. It needs no Go of the user; the
// worker command serves it when it is told where requests may go.
//
// # Where requests may go
//
// Nowhere, unless a [Rules] allows it. A rule that names hosts allows them at
// public addresses only: loopback, private, link-local and other special
// addresses have to be allowed as such, by an address or a CIDR, whatever name
// leads there. Each connection is checked when it is made, by the very address
// that it is made to, so a name that resolves to something else the second time
// gains nothing, and redirects are checked like first requests. Proxies that the
// environment names are not used.
//
// # What is sent
//
// What the input says, and an Idempotency-Key, which is the same for all attempts
// of a node, unless the method is GET, HEAD or OPTIONS or the input has one.
// Headers that are secrets go to the host of the URL only, not along with a
// redirect to another one.
//
// # Limits
//
// A response has at most [grapnel.MaxPayload] bytes and 32 KiB of headers, and
// comes after at most 10 redirects. Time is limited by the node's time-outs alone:
// a request to a server that never answers, by a node without them, never ends.
package httptask
