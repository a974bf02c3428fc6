package cli

import (
	"strings"
	"testing"
	"time"
)

func TestHeaderShowsText(t *testing.T) {
	for block, want := range map[string]header{
		"Subject: =?windows-1251?B?0fe48g==?=":                      {Subject: "Счёт"},
		"Subject: =?koi8-r?B?896j1A==?=":                            {Subject: "Счёт"},
		"Subject: =?gb2312?B?u+HS6Q==?=":                            {Subject: "会议"},
		"Subject: =?ISO-2022-JP?B?GyRCMnE1RBsoQg==?=":               {Subject: "会議"},
		"Subject: =?windows-1252?Q?20_=80?=":                        {Subject: "20 €"},
		"Subject: =?iso-8859-15?Q?20_=A4?=":                         {Subject: "20 €"},
		"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=":                      {Subject: "Grüße"},
		"Subject: =?no-such-charset?Q?abc?=":                        {Subject: "=?no-such-charset?Q?abc?="},
		"Subject: =?utf-7?Q?abc?=":                                  {Subject: "=?utf-7?Q?abc?="},
		"no colon here\nSubject: behind it":                         {Subject: "behind it"},
		"no colon here\n continued\nSubject: behind it":             {Subject: "behind it"},
		"Subject : blank before the colon":                          {Subject: "blank before the colon"},
		"SUBJECT: upper case":                                       {Subject: "upper case"},
		"Subject: folded\n\tline":                                   {Subject: "folded\tline"},
		" starts with a continuation\nFrom: a@b\nDate: x":           {From: "a@b", Date: "x"},
		"Subject: first\nSubject: second\n continued":               {Subject: "first"},
		"From: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>\n\nFrom: no": {From: "Jürgen <j@example.org>"},
		"": {},
		"Subject: " + strings.Repeat("x", 2*maxHeader):    {Subject: strings.Repeat("x", maxField) + "…"},
		"Subject: x" + strings.Repeat("é", maxField):      {Subject: "x" + strings.Repeat("é", maxField/2-1) + "…"},
		strings.Repeat("x", 2*maxHeader) + "\nSubject: x": {},
	} {
		if got := readHeader(strings.NewReader(strings.ReplaceAll(block, "\n", "\r\n"))); got != want {
			t.Errorf("%.100q: %.200q, want %.200q", block, got, want)
		}
	}
}

func TestDateOfAHeaderIsLocalAndShort(t *testing.T) {
	date := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	if got, want := localDate("Mon, 2 Nov 2026 11:00:00 +0100 (CET)"), date.Local().Format("2006-01-02 15:04"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := localDate("yesterday"); got != "yesterday" {
		t.Errorf("%q", got)
	}
}
