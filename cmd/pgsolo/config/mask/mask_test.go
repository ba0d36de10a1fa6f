package mask

import "testing"

func TestMask(t *testing.T) {
	for src, want := range map[string]string{
		`secret = "sesame"`:                                `secret = "******"`,
		`url = "postgres://u:sesame@h/"`:                   `url = "postgres://u:******@h/"`,
		`x = "h?password=sesame&a=b"`:                      `x = "h?password=******&a=*"`,
		`secret = try("sesame", "open")`:                   `secret = try("******", "****")`,
		"secret = try(\n  \"sesame\",\n)":                  "secret = try(\n  \"******\",\n)",
		`secret = true ? "sesame" : "open"`:                `secret = true ? "******" : "****"`,
		`secret = env("NAME", "sesame")`:                   `secret = env("NAME", "******")`,
		`secret = file("/run/name")`:                       `secret = file("/run/name")`,
		`headers = { a = "sesame", b = true ? "x" : "y" }`: `headers = { a = "******", b = true ? "*" : "*" }`,
		`headers = { "a" : "sesame" }`:                     `headers = { "a" : "******" }`,
		`x = "https://h/?token=sesame&a=${b}open#c"`:       `x = "https://h/?token=******&a=${b}****#c"`,
		`x = "https://sesame@h/"`:                          `x = "https://******@h/"`,
		`x = "https://u:p${a}sesame@h/"`:                   `x = "https://*************@h/"`,
		`x = "postgres://u@h/d?sslmode=a&password=sesame"`: `x = "postgres://u@h/d?sslmode=a&password=******"`,
		`x = "host=h password='ses ame' a=b"`:              `x = "host=h password=********* a=b"`,
		`x = "password=\"sesame\""`:                        `x = "password=**********"`,
		`command = ["x", "--token", "sesame"]`:             `command = ["x", "--token", "******"]`,
		`command = ["x", "--password=sesame"]`:             `command = ["x", "--password=******"]`,
		`x = ["-H", "Authorization: Bearer sesame"]`:       `x = ["-H", "Authorization: *************"]`,
		`x = ["whsec_sesame"]`:                             `x = ["************"]`,
		`x = 1 # token=sesame`:                             `x = 1 # token=******`,
		`secret = "ses`:                                    `secret = "***`,
		"secret = <<X\nsesame\nX\n":                        "secret = <<X\n******\nX\n",
		`"x-api-key" = "sesame"`:                           `"x-api-key" = "******"`,
		`key = "open"`:                                     `key = "open"`,
	} {
		if got, _ := Source([]byte(src)); string(got) != want {
			t.Errorf("%s became %s, want %s", src, got, want)
		}
	}
}
