package cli

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strconv"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/internal/config"
)

func (p *program) listCommand() *cli.Command {
	return &cli.Command{
		Name:      "list",
		Usage:     "show the scan listing of the maildrops and what is known of each message",
		ArgsUsage: "[ACCOUNT...]",
		Flags: flags(jsonFlag(),
			&cli.BoolFlag{Name: "headers", Usage: "show From, Date and Subject too; asks the server for the header of every message"}),
		Action: p.list,
	}
}

func (p *program) list(c *cli.Context) error {
	con := p.console(c)
	s, err := p.selection(c, con)
	if err != nil {
		return err
	}
	return p.readOnly(s, con, false, func(h *house, a *config.Account, w io.Writer) error {
		return h.account(a, nil).Look(c.Context, func(s fetch.Session, listing *plan.Listing, todo plan.Plan) error {
			var heads map[int]head
			if c.Bool("headers") {
				var err error
				if heads, err = headers(s, listing); err != nil {
					return err
				}
			}
			if con.json {
				return listJSON(w, a.Name, listing, todo, heads)
			}
			return listTable(w, a.Name, listing, todo, heads)
		})
	})
}

// listLine is one message for programs. popfetch(1) describes the fields.
type listLine struct {
	Account string `json:"account"`
	Num     int    `json:"num"`
	Octets  int64  `json:"octets"`
	UID     string `json:"uid"`
	State   string `json:"state"`
	*head
}

// head is what a header block says of its message.
type head struct {
	From    string `json:"from"`
	Date    string `json:"date"`
	Subject string `json:"subject"`
}

func listJSON(w io.Writer, account string, listing *plan.Listing, todo plan.Plan, heads map[int]head) error {
	for i, l := range listing.All() {
		line := listLine{Account: account, Num: l.Num, Octets: l.Octets, UID: l.UID(), State: todo.Verdicts[i].String()}
		if h, ok := heads[l.Num]; ok {
			line.head = &h
		}
		if err := encode(w, line); err != nil {
			return err
		}
	}
	return nil
}

func listTable(w io.Writer, account string, listing *plan.Listing, todo plan.Plan, heads map[int]head) error {
	fmt.Fprintf(w, "%s: %s: %s\n", account, messages(listing.Len()), todo)
	if listing.Len() == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "  NUM\tOCTETS\tSTATE\tUNIQUE-ID")
	if heads != nil {
		fmt.Fprint(t, "\tFROM\tDATE\tSUBJECT")
	}
	fmt.Fprintln(t)
	reasons := failures(todo)
	for i, l := range listing.All() {
		fmt.Fprintf(t, "  %d\t%s\t%s\t%s", l.Num, octets(l.Octets), todo.Verdicts[i], quoteUnlessPlain(l.UID()))
		if h, ok := heads[l.Num]; ok {
			fmt.Fprintf(t, "\t%s\t%s\t%s", quoteUnlessPlain(h.From), quoteUnlessPlain(h.Date), quoteUnlessPlain(h.Subject))
		}
		if why := reasons[l.Num]; why != "" {
			fmt.Fprintf(t, "\t(%s)", quoteUnlessPlain(why))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// octets writes a size, or a dash where the server does not say it.
func octets(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// failures says by message number why earlier attempts failed.
func failures(todo plan.Plan) map[int]string {
	reasons := make(map[int]string)
	for _, items := range []plan.Items{todo.Retrieve, todo.SetAside} {
		for it := range items.All() {
			switch r := it.Record; {
			case r.Failures > 0:
				reasons[it.Num] = fmt.Sprintf("failed %d times: %s", r.Failures, r.Reason)
			case r.Reason != "": // too big then, or the connection was lost
				reasons[it.Num] = "last time: " + r.Reason
			}
		}
	}
	return reasons
}

// maxHeader is how much of a header block is read for display, in octets.
const maxHeader = 64 << 10

// headers asks for the header block of every message.
func headers(s fetch.Session, listing *plan.Listing) (map[int]head, error) {
	nums := make([]int, listing.Len())
	for i, l := range listing.All() {
		nums[i] = l.Num
	}
	heads := make(map[int]head, listing.Len())
	for m, err := range s.Top(nums, 0) {
		var refused *pop3.ResponseError
		if errors.As(err, &refused) {
			continue
		}
		if err != nil {
			return nil, err
		}
		heads[m.Num] = readHead(m.Body)
	}
	return heads, nil
}

// readHead reads what it can; a message may hold anything.
func readHead(r io.Reader) head {
	m, err := mail.ReadMessage(io.LimitReader(r, maxHeader))
	if err != nil {
		return head{Subject: "(unreadable header)"}
	}
	var d mime.WordDecoder
	decoded := func(field string) string {
		value := m.Header.Get(field)
		if text, err := d.DecodeHeader(value); err == nil {
			return text
		}
		return value
	}
	return head{From: decoded("From"), Date: m.Header.Get("Date"), Subject: decoded("Subject")}
}
