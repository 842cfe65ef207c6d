{{- define "jobcast.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "jobcast.fullname" -}}
{{- $name := include "jobcast.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "jobcast.selector" -}}
app.kubernetes.io/name: {{ include "jobcast.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "jobcast.labels" -}}
{{ include "jobcast.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "jobcast.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "jobcast.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- /* Only several nodes have one that takes over while another goes on for a while. */ -}}
{{- define "jobcast.stopDelay" -}}
{{- if eq .Values.mode "aws" -}}{{ .Values.stopDelaySeconds }}{{- else -}}0{{- end -}}
{{- end -}}

{{- /* Values that contradict each other, before anything is installed. */ -}}
{{- define "jobcast.check" -}}
{{- if not (or (dig "auth" "api_keys" false .Values.config) (dig "auth" "oidc" false .Values.config)) -}}
{{- fail "config.auth has no api_keys and no oidc: the server listens on all addresses, so it needs one of them" -}}
{{- end -}}
{{- if and (eq .Values.mode "aws") (not .Values.config.aws) -}}
{{- fail "mode is aws and config.aws is missing: it needs table and state_machine_arn_prefix" -}}
{{- end -}}
{{- if and (eq .Values.mode "sqlite") .Values.config.aws -}}
{{- fail "config.aws is set and mode is sqlite: set mode to aws" -}}
{{- end -}}
{{- if and (eq .Values.mode "aws") (not .Values.existingSecret) -}}
{{- fail "mode is aws and existingSecret is empty: name a Secret with JOBCAST_SECRET, the same for all nodes" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.enabled is true and ingress.host is empty" -}}
{{- end -}}
{{- end -}}
