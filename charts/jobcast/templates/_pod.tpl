{{- /* The pods of the Deployment and of the StatefulSet. */ -}}
{{- define "jobcast.pod" -}}
metadata:
  labels:
    {{- include "jobcast.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # The configuration is read at the start: another one makes other pods.
    checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "jobcast.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ add (include "jobcast.stopDelay" .) .Values.drainSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: jobcast
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      env:
        - name: JOBCAST_OPERATIONS_LISTEN
          value: "0.0.0.0:{{ .Values.operationsPort }}"
        - name: JOBCAST_STOP_DELAY
          value: "{{ include "jobcast.stopDelay" . }}s"
        {{- with .Values.publicUrl }}
        - name: JOBCAST_PUBLIC_URL
          value: {{ . | quote }}
        {{- end }}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.existingSecret }}
      envFrom:
        - secretRef:
            name: {{ . }}
      {{- end }}
      ports:
        - name: http
          containerPort: 8080
        - name: operations
          containerPort: {{ .Values.operationsPort }}
      # A migration of the database may take a while before the server answers.
      startupProbe:
        httpGet: { path: /livez, port: operations }
        periodSeconds: 2
        failureThreshold: 150
      # It does not ask the store: to restart every node would not mend it.
      livenessProbe:
        httpGet: { path: /livez, port: operations }
        periodSeconds: 10
        timeoutSeconds: 3
        failureThreshold: 3
      readinessProbe:
        httpGet: { path: /readyz, port: operations }
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 2
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - name: config
          mountPath: /etc/jobcast
          readOnly: true
        - name: data
          mountPath: /data
        - name: tmp
          mountPath: /tmp
    {{- with .Values.sidecars }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "jobcast.fullname" . }}
        items:
          - key: jobcast.toml
            path: jobcast.toml
          {{- range $name, $_ := .Values.stateMachines }}
          - key: {{ $name }}.asl.json
            path: state-machines/{{ $name }}.asl.json
          {{- end }}
    - name: tmp
      emptyDir: {}
    {{- if eq .Values.mode "aws" }}
    - name: data
      emptyDir: {}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "jobcast.selector" . | nindent 10 }}
{{- end -}}
