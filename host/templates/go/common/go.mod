module modules.local/{{name}}

go 1.24
