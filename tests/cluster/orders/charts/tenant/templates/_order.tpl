{{/* The order's values, which it keeps below `values`: as text that holds YAML, or as a mapping. */}}
{{- define "order.values" -}}
{{- if kindIs "string" .Values.values }}{{ .Values.values }}{{ else }}{{ toYaml .Values.values }}{{ end -}}
{{- end -}}

{{/* The tenant's name: `namespace.name`, else `appname`. */}}
{{- define "order.tenant" -}}
{{- $values := include "order.values" . | fromYaml -}}
{{- if hasKey $values "Error" }}{{ fail (printf "the order's values hold no YAML: %s" $values.Error) }}{{ end -}}
{{- dig "namespace" "name" "" $values | default .Values.appname | required "the order names no tenant" -}}
{{- end -}}

{{/* A key of the syncPolicy, given [policy, key]: true unless it is false. */}}
{{- define "order.flag" -}}
{{- ne (toString (get (index . 0) (index . 1))) "false" -}}
{{- end -}}
